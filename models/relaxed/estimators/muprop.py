"""MuProp: REINFORCE with the first-order Taylor expansion of the cost at the mean as its control variate.

Gu, Levine, Sutskever & Mnih 2016 (arXiv:1511.05176), section 3.
"""

from __future__ import annotations

from torch import Tensor

from ..estimator import (
    ESTIMATORS,
    Cost,
    Estimator,
    NoiseSource,
    attach_gradient,
    cost_slope,
    evaluate,
    expand_event,
    full_precision,
    repeat_samples,
    sum_event,
)
from ..sampling import gumbel_max, one_hot


@ESTIMATORS.register("muprop")
class MuProp(Estimator):
    """Unbiased; what the expansion explains has no variance. The cost must take points inside the simplex too."""

    unbiased = True
    pathwise = False
    learns_temperature = False

    def expectation(self, logits: Tensor, cost: Cost, temperature: Tensor | float, source: NoiseSource) -> Tensor:
        """Mean cost of the samples; the expansion gives the cost's own parameters no gradient."""
        mean = full_precision(logits.detach()).softmax(-1)  # b n k
        at_mean, slope = cost_slope(cost, mean.to(logits.dtype))  # b, b n k
        slope = full_precision(slope)
        repeated = repeat_samples(logits, self.samples)  # s b n k
        z = one_hot(gumbel_max(repeated, noise=source(repeated)), logits.shape[-1], logits.dtype)
        value = evaluate(cost, z)  # s b
        expansion = at_mean + sum_event((slope * (z - mean)).sum(-1), like=value)
        residual = expand_event(full_precision(value.detach()) - expansion, like=z)
        direct = mean * (slope - (mean * slope).sum(-1, keepdim=True))  # through the softmax
        value = attach_gradient(value, repeated, residual * (z - mean) + direct)
        return value.mean(0) if self.samples > 1 else value

    def cost_evaluations(self, n: int, k: int) -> int:
        """One more, at the mean."""
        return self.samples + 1
