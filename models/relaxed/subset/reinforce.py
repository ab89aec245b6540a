"""The score function with the leave-one-out baseline: Wijk, Vinuesa & Azizpour 2024 (SFESS, arXiv:2407.16058).

The score of a conditional Bernoulli law is z minus the marginals, in closed form. The baseline is that of Kool, van
Hoof & Welling 2019, "Buy 4 REINFORCE samples, get a baseline for free!".
"""

from __future__ import annotations

from torch import Tensor

from ..baselines import LeaveOneOut
from ..noise import NoiseFn
from ..surrogate import Cost, evaluate, expand_event, repeat_samples, upcast, with_gradient
from . import conditional_bernoulli
from .estimator import SUBSET_ESTIMATORS, SubsetEstimator


@SUBSET_ESTIMATORS.register("reinforce")
class SubsetREINFORCE(SubsetEstimator):
    """Unbiased for any cost, from k-hot draws only.

    Args:
        k: items in a draw.
        samples: draws of z per example, at least 2; each is compared with the mean cost of the others.
    """

    law = "conditional_bernoulli"
    unbiased = True
    pathwise = False
    learns_temperature = False
    minimum_samples = 2

    def __init__(self, k: int, samples: int = 4) -> None:
        super().__init__(k, samples)
        self.baseline = LeaveOneOut(None)

    def expectation(self, logits: Tensor, cost: Cost, temperature: Tensor | float, noise_fn: NoiseFn) -> Tensor:
        """Return the mean cost of the samples, ``b``; its gradient is the score-function estimate."""
        repeated = repeat_samples(logits, self.samples)  # s b n
        z = conditional_bernoulli.sample(repeated.detach(), self.k, noise=noise_fn(repeated))
        value = evaluate(cost, z)  # s b
        marginals = conditional_bernoulli.marginals(logits.detach(), self.k)  # b n
        observed = upcast(value.detach())
        advantage = observed - self.baseline(observed, marginals[None])
        score = upcast(z) - marginals
        gradient = (expand_event(advantage, like=score) * score).mean(0)
        return with_gradient(value.mean(0), logits, gradient)
