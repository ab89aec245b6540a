"""A mixture of discretised logistics over the 256 levels of a pixel.

Salimans, Karpathy, Chen & Kingma 2017 (arXiv:1701.05517), eq. 2 and 3. Axes: ``m`` mixture components, others as in
``base.py``.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange, reduce
from torch import Tensor

from ....ranges import check_sizes
from ...relaxed.surrogate import upcast
from .base import LEVELS, LIKELIHOODS, Likelihood

MIN_LOG_SCALE = -7.0  # a logistic far narrower than one of 256 levels has no gradient left


@LIKELIHOODS.register("logistic_mixture")
class LogisticMixture(Likelihood):
    """A mixture whose component is shared by the channels of a pixel.

    The mean of a channel is linear in the channels before it.

    Args:
        channels: c of the images.
        components: number of components m.

    Raises:
        ValueError: fewer than 1 component.
    """

    levels = LEVELS

    def __init__(self, channels: int, components: int = 10) -> None:
        super().__init__(channels)
        check_sizes(components=components)
        self.components = components

    @property
    def _sizes(self) -> list[int]:
        """Outputs per component: logit, means, log-scales, coefficients."""
        c = self.channels
        return [1, c, c, c * (c - 1) // 2]

    @property
    def outputs(self) -> int:
        """For each component a logit, c means, c log-scales and c (c - 1) / 2 coefficients."""
        return self.components * sum(self._sizes)

    def _split(self, outputs: Tensor) -> tuple[Tensor, ...]:
        """Log-weights ``b m h w``, means, log-scales and coefficients ``b m c h w``."""
        parts = rearrange(outputs, "b (m o) h w -> b m o h w", m=self.components).float().split(self._sizes, dim=2)
        weights, means, log_scales, coefficients = parts
        return weights[:, :, 0].log_softmax(1), means, log_scales.clamp(min=MIN_LOG_SCALE), coefficients.tanh()

    def _coupled(self, means: Tensor, coefficients: Tensor, x: Tensor | None = None) -> Tensor:
        """Means ``b m c h w`` given earlier channels: those of x, ``b 1 c h w``, or their own means without x."""
        coupled = [means[:, :, 0]]
        for i in range(1, self.channels):
            earlier = torch.stack(coupled, 2) if x is None else x[:, :, :i]
            factors = coefficients[:, :, i * (i - 1) // 2 : i * (i + 1) // 2]
            coupled.append(means[:, :, i] + (factors * earlier).sum(2))
        return torch.stack(coupled, 2)

    def mean(self, outputs: Tensor) -> Tensor:
        """Compute the mean of the mixture of continuous logistics, clipped to [0, 1], ``b c h w``."""
        weights, means, _, coefficients = self._split(outputs)
        mean = torch.einsum("b m h w, b m c h w -> b c h w", weights.exp(), self._coupled(means, coefficients))
        return (0.5 + 0.5 * mean).clamp(0, 1)

    def nll(self, outputs: Tensor, x: Tensor) -> Tensor:
        """Compute -log p(x) in nats, ``-> b``; ValueError for pixels between the 256 levels."""
        self.check_levels(x)
        level = (upcast(x) * (LEVELS - 1)).round()  # pixels of 16 bits are off by up to half a bin
        x = rearrange(2 * level / (LEVELS - 1) - 1, "b c h w -> b 1 c h w")
        weights, means, log_scales, coefficients = self._split(outputs)
        log_p = discretised_logistic_log_prob(x, self._coupled(means, coefficients, x), log_scales)  # b m c h w
        mixed = (weights + reduce(log_p, "b m c h w -> b m h w", "sum")).logsumexp(1)  # b h w
        return -reduce(mixed, "b h w -> b", "sum")


def discretised_logistic_log_prob(x: Tensor, mean: Tensor, log_scale: Tensor) -> Tensor:
    """Compute log P(x) in nats of 256 levels under a logistic distribution, elementwise; levels are in [-1, 1].

    P(x) is the logistic's mass between x - 1/255 and x + 1/255, and the outermost levels own the tails (eq. 2). With
    a > b the ends of a bin, sigmoid(a) - sigmoid(b) = sigmoid(a) sigmoid(-b) (1 - exp(b - a)), which is exact however
    small the mass.
    """
    precision = torch.exp(-log_scale)
    upper, lower = precision * (x - mean + 1 / 255), precision * (x - mean - 1 / 255)
    lowest, highest = x < -254.5 / 255, x > 254.5 / 255
    log_below_upper = F.logsigmoid(upper).masked_fill(highest, 0.0)
    log_above_lower = F.logsigmoid(-lower).masked_fill(lowest, 0.0)
    log_inside = torch.log(-torch.expm1(-2 / 255 * precision)).masked_fill(lowest | highest, 0.0)
    return log_below_upper + log_above_lower + log_inside
