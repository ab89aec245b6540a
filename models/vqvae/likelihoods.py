"""What a decoder's outputs say about the pixels of an image, by name.

Axes: ``b`` batch, ``c h w`` image, ``o`` decoder outputs per position, ``m`` mixture components, ``l`` levels. Images
have values in [0, 1]; an ``nll`` is in nats, summed over an image. Only that of discrete pixels can be told in bits per
dimension: the density of ``mse`` and ``gaussian`` has no least value.
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
import torch.nn.functional as F
from einops import rearrange, reduce
from torch import Tensor, nn

from ...registry import Registry

LEVELS = 256
LEAST_LOG_SCALE = -7.0  # a logistic far narrower than one of 256 levels has no gradient left


def gaussian_nll(x: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    """-log N(x; mean, variance) in nats, elementwise."""
    return 0.5 * ((x - mean).square() / variance + torch.log(2 * math.pi * variance))


def discretised_logistic_log_prob(x: Tensor, mean: Tensor, log_scale: Tensor) -> Tensor:
    """log P(x) in nats of 256 levels under a logistic distribution, elementwise; all three live in [-1, 1].

    P(x) is the logistic's mass between x - 1/255 and x + 1/255, and the outermost levels own the tails (Salimans,
    Karpathy, Chen & Kingma 2017, arXiv:1701.05517, eq. 2). With a > b the ends of a bin,
    sigmoid(a) - sigmoid(b) = sigmoid(a) sigmoid(-b) (1 - exp(b - a)), which is exact however small the mass.
    """
    precision = torch.exp(-log_scale)
    upper, lower = precision * (x - mean + 1 / 255), precision * (x - mean - 1 / 255)
    lowest, highest = x < -254.5 / 255, x > 254.5 / 255
    above = F.logsigmoid(upper).masked_fill(highest, 0.0)
    below = F.logsigmoid(-lower).masked_fill(lowest, 0.0)
    inside = torch.log(-torch.expm1(-2 / 255 * precision)).masked_fill(lowest | highest, 0.0)
    return above + below + inside


class Likelihood(nn.Module):
    """p(x | outputs of a decoder).

    Args:
        channels: c of the images.
    """

    levels: ClassVar[int | None] = None  # of a pixel where pixels are discrete, so that bits/dim exist
    unit: ClassVar[str] = "nats_per_dim"  # of ``loss``
    data_mean: Tensor
    data_variance: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.register_buffer("data_mean", torch.tensor(0.5))  # uniform noise, until the data is known
        self.register_buffer("data_variance", torch.tensor(1 / 12))

    @property
    def outputs(self) -> int:
        """Decoder outputs per position, o."""
        return self.channels

    def nll(self, outputs: Tensor, x: Tensor) -> Tensor:
        """-log p(x) in nats, for outputs ``b o h w`` and images ``b c h w``, ``-> b``."""
        raise NotImplementedError

    def mean(self, outputs: Tensor) -> Tensor:
        """The expected image, ``b o h w -> b c h w``."""
        raise NotImplementedError

    def loss(self, outputs: Tensor, x: Tensor) -> Tensor:
        """The reconstruction's part of an objective, ``-> b``: nats per dimension."""
        return self.nll(outputs, x) / x[0].numel()

    def check_levels(self, x: Tensor) -> None:
        """ValueError for pixels between the levels; on an accelerator only in eval mode, since looking costs time."""
        if self.levels is None or (self.training and x.device.type != "cpu"):
            return
        level = x * (self.levels - 1)
        if not bool(((level - level.round()).abs() < 1e-3).all()) or x.min() < 0 or x.max() > 1:
            raise ValueError(
                f"this likelihood is of pixels with {self.levels} levels in [0, 1]; use data that has them (binary "
                "images: --data.binarization=static), or the likelihood 'gaussian'"
            )


LIKELIHOODS: Registry[type[Likelihood]] = Registry("likelihood")


@LIKELIHOODS.register("gaussian")
class Gaussian(Likelihood):
    """Normal pixels around the decoder's output, all of one variance.

    Args:
        channels: c of the images.
        noise: their variance as a share of the variance of the data; learned if left out.
    """

    def __init__(self, channels: int, noise: float | None = None) -> None:
        super().__init__(channels)
        if noise is not None and noise <= 0:
            raise ValueError(f"noise must be > 0, got {noise}; leave it out to learn it")
        start = torch.tensor(math.log(noise or 1.0))
        self.log_noise = nn.Parameter(start, requires_grad=noise is None)

    def mean(self, outputs: Tensor) -> Tensor:
        """The outputs, in units of the data's standard deviation around its mean."""
        return self.data_mean + self.data_variance.sqrt() * outputs

    def nll(self, outputs: Tensor, x: Tensor) -> Tensor:
        """-log of the density at x in nats, ``-> b``; it may be negative."""
        nats = gaussian_nll(x, self.mean(outputs), self.data_variance * self.log_noise.exp())
        return reduce(nats, "b c h w -> b", "sum")


@LIKELIHOODS.register("mse")
class MeanSquaredError(Gaussian):
    """The Gaussian of half the data's variance: its nats per dimension are the NMSE and a constant.

    ``loss`` is the NMSE itself, the mean squared error over the variance of all pixels of the training data around
    their one mean (the form in which the VQ-VAEs of Sonnet and Keras report it).
    """

    unit = "nmse"

    def __init__(self, channels: int) -> None:
        super().__init__(channels, noise=0.5)

    def loss(self, outputs: Tensor, x: Tensor) -> Tensor:
        """The NMSE, ``-> b``."""
        return reduce((x - self.mean(outputs)).square(), "b c h w -> b", "mean") / self.data_variance


@LIKELIHOODS.register("bernoulli")
class Bernoulli(Likelihood):
    """Binary pixels; the outputs are logits."""

    levels = 2

    def mean(self, outputs: Tensor) -> Tensor:
        """Probabilities."""
        return torch.sigmoid(outputs)

    def nll(self, outputs: Tensor, x: Tensor) -> Tensor:
        """Nats, ``-> b``; ValueError for pixels other than 0 and 1."""
        self.check_levels(x)
        return reduce(F.binary_cross_entropy_with_logits(outputs, x, reduction="none"), "b c h w -> b", "sum")


@LIKELIHOODS.register("categorical")
class Categorical(Likelihood):
    """A softmax over the 256 levels of each pixel of each channel (van den Oord et al. 2016, arXiv:1601.06759)."""

    levels = LEVELS

    @property
    def outputs(self) -> int:
        """256 logits for each channel."""
        return LEVELS * self.channels

    def _logits(self, outputs: Tensor) -> Tensor:
        return rearrange(outputs, "b (l c) h w -> b l c h w", l=LEVELS).float()

    def mean(self, outputs: Tensor) -> Tensor:
        """The expected level."""
        level = torch.linspace(0, 1, LEVELS, device=outputs.device)
        return torch.einsum("b l c h w, l -> b c h w", self._logits(outputs).softmax(1), level)

    def nll(self, outputs: Tensor, x: Tensor) -> Tensor:
        """Nats, ``-> b``; ValueError for pixels between the 256 levels."""
        self.check_levels(x)
        target = (x * (LEVELS - 1)).round().long()
        return reduce(F.cross_entropy(self._logits(outputs), target, reduction="none"), "b c h w -> b", "sum")


@LIKELIHOODS.register("logistic_mixture")
class LogisticMixture(Likelihood):
    """A mixture of discretised logistics over the 256 levels (Salimans et al. 2017, arXiv:1701.05517, eq. 2 and 3).

    The channels of a pixel share the component, and a channel's mean is linear in the channels before it.

    Args:
        channels: c of the images.
        components: m.
    """

    levels = LEVELS

    def __init__(self, channels: int, components: int = 10) -> None:
        super().__init__(channels)
        if components < 1:
            raise ValueError(f"components must be >= 1, got {components}")
        self.components = components

    @property
    def _parts(self) -> list[int]:
        c = self.channels
        return [1, c, c, c * (c - 1) // 2]

    @property
    def outputs(self) -> int:
        """For each component its logit, c means, c log-scales and c (c - 1) / 2 coefficients."""
        return self.components * sum(self._parts)

    def _split(self, outputs: Tensor) -> tuple[Tensor, ...]:
        """Log-weights ``b m h w``, means, log-scales and coefficients ``b m c h w``."""
        parts = rearrange(outputs, "b (m o) h w -> b m o h w", m=self.components).float().split(self._parts, dim=2)
        weights, means, log_scales, coefficients = parts
        return weights[:, :, 0].log_softmax(1), means, log_scales.clamp(min=LEAST_LOG_SCALE), coefficients.tanh()

    def _coupled(self, means: Tensor, coefficients: Tensor, x: Tensor | None = None) -> Tensor:
        """Means ``b m c h w`` given the channels before, in x ``b 1 c h w`` or, without x, at their own means."""
        coupled = [means[:, :, 0]]
        for i in range(1, self.channels):
            before = torch.stack(coupled, 2) if x is None else x[:, :, :i]
            factors = coefficients[:, :, i * (i - 1) // 2 : i * (i + 1) // 2]
            coupled.append(means[:, :, i] + (factors * before).sum(2))
        return torch.stack(coupled, 2)

    def mean(self, outputs: Tensor) -> Tensor:
        """The mean of the mixture of logistics, its part outside [0, 1] cut off."""
        weights, means, _, coefficients = self._split(outputs)
        mean = torch.einsum("b m h w, b m c h w -> b c h w", weights.exp(), self._coupled(means, coefficients))
        return (0.5 + 0.5 * mean).clamp(0, 1)

    def nll(self, outputs: Tensor, x: Tensor) -> Tensor:
        """Nats, ``-> b``; ValueError for pixels between the 256 levels."""
        self.check_levels(x)
        x = rearrange(2 * x - 1, "b c h w -> b 1 c h w")
        weights, means, log_scales, coefficients = self._split(outputs)
        log_p = discretised_logistic_log_prob(x, self._coupled(means, coefficients, x), log_scales)  # b m c h w
        mixed = (weights + reduce(log_p, "b m c h w -> b m h w", "sum")).logsumexp(1)  # b h w
        return -reduce(mixed, "b h w -> b", "sum")
