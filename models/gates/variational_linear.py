"""Linear layer with a Gaussian posterior of each weight: sparse variational dropout.

Molchanov, Ashukha & Vetrov 2017 (arXiv:1701.05369): q(w) = N(w; theta, alpha theta^2) under the log-uniform prior. The
noise is drawn for outputs (local reparametrization), and sigma^2 = alpha theta^2 is the parameter (section 4.2).
Axes: ``b`` examples, ``i`` inputs, ``o`` outputs.
"""

from __future__ import annotations

from copy import deepcopy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..relaxed.surrogate import upcast

K1, K2, K3 = 0.63576, 1.87320, 1.48695  # of eq. 14
THRESHOLD = 3.0  # log alpha of a weight that is removed: its dropout rate is above 0.95
START = -10.0  # log sigma^2 before training
SPEED = 10.0  # Adam moves all parameters alike, and log sigma^2 has to move by 10
TINY = 1e-8


def negative_kl(log_alpha: Tensor) -> Tensor:
    """Approximate -KL(q || log-uniform) of each weight in nats, ``... -> ...``; eq. 14, 0 as alpha grows."""
    return K1 * (K2 + K3 * log_alpha).sigmoid() - 0.5 * F.softplus(-log_alpha) - K1


class VariationalLinear(nn.Module):
    """Linear layer whose weights have a Gaussian posterior; in eval mode their means, without those that are noise.

    Args:
        inputs: number of inputs i.
        outputs: number of outputs o.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.mean = nn.Linear(inputs, outputs)
        self.slow_log_variance = nn.Parameter(torch.full((outputs, inputs), START / SPEED))

    @property
    def log_alpha(self) -> Tensor:
        """log alpha = log sigma^2 - log theta^2, ``o i``, at most 10 in absolute value."""
        log_square = (self.mean.weight.square() + TINY).log()
        return (SPEED * self.slow_log_variance - log_square).clamp(-10, 10)

    def kept(self) -> Tensor:
        """Return True for weights with log alpha below the threshold, ``o i``."""
        return self.log_alpha.detach() < THRESHOLD

    def forward(self, x: Tensor) -> Tensor:
        """Compute outputs, ``b i -> b o``; in training mode with noise."""
        if not self.training:
            return F.linear(x, self.mean.weight * self.kept(), self.mean.bias)
        mean = self.mean(x)
        with torch.autocast(x.device.type, enabled=False):  # TINY is 0 in float16
            variance = F.linear(upcast(x).square(), (SPEED * upcast(self.slow_log_variance)).exp())
            noise = torch.randn_like(variance)
            return mean + ((variance + TINY).sqrt() * noise).to(mean.dtype)

    def kl(self) -> Tensor:
        """Approximate the KL of all weights, in nats."""
        return -negative_kl(self.log_alpha).sum()

    def sparse(self) -> nn.Linear:
        """Build the layer of evaluation: the means, and 0 for weights that are removed."""
        layer = deepcopy(self.mean)
        with torch.no_grad():
            layer.weight.mul_(self.kept())
        return layer


def useful_inputs(weights: list[Tensor]) -> list[Tensor]:
    """Return the inputs of each layer that reach the output by weights other than 0, bool ``i``.

    Args:
        weights: of linear layers in a row, ``o i``.
    """
    found: list[Tensor] = []
    after: Tensor | None = None
    for weight in reversed(weights):
        rows = weight if after is None else weight[after]
        after = (rows != 0).any(0)
        found.insert(0, after)
    return found
