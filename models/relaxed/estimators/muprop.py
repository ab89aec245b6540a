"""MuProp: REINFORCE with the first-order Taylor expansion of the cost at the mean as control variate.

Gu, Levine, Sutskever & Mnih 2016 (arXiv:1511.05176), section 3.
"""

from __future__ import annotations

from torch import Tensor

from ..estimator import ESTIMATORS, Estimator
from ..noise import NoiseFn
from ..sampling import gumbel_max, one_hot, tempered_softmax
from ..surrogate import Cost, evaluate, expand_event, repeat_samples, sum_event, upcast, value_and_grad, with_gradient


@ESTIMATORS.register("muprop")
class MuProp(Estimator):
    """Unbiased, with no variance from the linear part of the cost, which must accept points inside the simplex."""

    unbiased = True
    pathwise = False
    relaxed_cost = True
    learns_temperature = False

    def expectation(self, logits: Tensor, cost: Cost, temperature: Tensor | float, noise_fn: NoiseFn) -> Tensor:
        """Return the mean cost of the samples, ``b``; the expansion gives the cost's own parameters no gradient."""
        mean = tempered_softmax(upcast(logits.detach()), 1.0)  # b n k
        at_mean, grad = value_and_grad(cost, mean.to(logits.dtype))  # b, b n k
        grad = upcast(grad)
        repeated = repeat_samples(logits, self.samples)  # s b n k
        z = one_hot(gumbel_max(repeated, noise=noise_fn(repeated)), logits.shape[-1], logits.dtype)
        value = evaluate(cost, z)  # s b
        expansion = at_mean + sum_event((grad * (z - mean)).sum(-1), like=value)
        residual = expand_event(upcast(value.detach()) - expansion, like=z)
        direct = mean * (grad - (mean * grad).sum(-1, keepdim=True))  # through the softmax
        value = with_gradient(value, repeated, residual * (z - mean) + direct)
        return value.mean(0) if self.samples > 1 else value

    def cost_evaluations(self, n: int, k: int) -> int:
        """Return one per sample, and one at the mean."""
        return self.samples + 1
