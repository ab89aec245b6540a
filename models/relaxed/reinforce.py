"""REINFORCE (the score-function estimator) with a leave-one-out baseline over several samples.

Williams 1992; the baseline of Kool, van Hoof & Welling 2019 ("Buy 4 REINFORCE samples, get a baseline for free"), eq. 8.
"""

from __future__ import annotations

from torch import Tensor

from .densities import log_prob
from .estimator import ESTIMATORS, Cost, Estimator, NoiseSource, evaluate, repeat_samples, sum_event
from .sampling import gumbel_max, one_hot


@ESTIMATORS.register("reinforce")
class Reinforce(Estimator):
    """Unbiased for any cost, which is only evaluated at one-hot samples; each is compared with the mean of the others.

    Args:
        samples: draws of z per example, at least 2.
    """

    unbiased = True
    pathwise = False
    minimum_samples = 2

    def __init__(self, samples: int = 4) -> None:
        super().__init__(samples)

    def expectation(self, logits: Tensor, cost: Cost, temperature: Tensor | float, source: NoiseSource) -> Tensor:
        """Mean cost of the samples; its gradient is the leave-one-out score-function estimate."""
        logits = repeat_samples(logits, self.samples)  # s b n k
        codes = gumbel_max(logits.detach(), noise=source.gumbel(logits))  # s b n
        value = evaluate(cost, one_hot(codes, logits.shape[-1], logits.dtype))  # s b
        score = sum_event(log_prob(logits, codes), like=value)  # s b
        centred = (value - value.mean(0)).detach() * (self.samples / (self.samples - 1))
        surrogate = (centred * score).mean(0)
        return value.mean(0) + (surrogate - surrogate.detach())
