"""VIMCO: the multi-sample bound with a baseline for each of its samples, made of the others.

Mnih & Rezende 2016 (arXiv:1602.06725), with the geometric mean of the others.
"""

from __future__ import annotations

import math

from torch import Tensor

from ..densities import log_prob
from ..estimator import ESTIMATORS, Cost, NoiseSource, evaluate, full_precision, repeat_copies, sum_event
from ..sampling import gumbel_max, one_hot
from .reinforce import Reinforce


@ESTIMATORS.register("vimco")
class Vimco(Reinforce):
    """Made for ``layer.multi_sample_bound``; on a plain expectation it is REINFORCE with the leave-one-out baseline.

    Args:
        samples: draws of z per example of a plain expectation, and of a bound of m = 1, which is one.
    """

    minimum_samples = 2

    def __init__(self, samples: int = 4) -> None:
        super().__init__(samples)

    def multi_sample_bound(
        self, logits: Tensor, log_weight: Cost, m: int, temperature: Tensor | float, source: NoiseSource
    ) -> Tensor:
        """Unbiased: each copy's score is weighted by what the bound gains over one without that copy."""
        if m == 1:
            return super().multi_sample_bound(logits, log_weight, m, temperature, source)
        copies = repeat_copies(logits, m)  # b n m k
        codes = gumbel_max(copies, noise=source(copies)).movedim(-1, 0)  # m b n
        log_weights = evaluate(log_weight, one_hot(codes, logits.shape[-1], logits.dtype))  # m b
        bound = log_weights.logsumexp(0) - math.log(m)
        score = sum_event(log_prob(copies.movedim(-2, 0), codes), like=log_weights)  # m b
        observed = full_precision(log_weights.detach())
        surrogate = ((bound.detach() - without_each(observed)) * score).sum(0)
        return bound + (surrogate - surrogate.detach())


def without_each(log_weights: Tensor) -> Tensor:
    """The bounds with copy j's weight replaced by the geometric mean of the others, for every j, ``m b -> m b``."""
    m = len(log_weights)
    table = log_weights.expand(m, *log_weights.shape).clone()  # j m b
    own = table.diagonal(dim1=0, dim2=1)  # b m
    own.zero_()
    own.copy_((table.sum(1) / (m - 1)).movedim(0, -1))  # of the others alone: any may be -inf
    return table.logsumexp(1) - math.log(m)
