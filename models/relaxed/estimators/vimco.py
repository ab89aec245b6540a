"""VIMCO: multi-sample bound in which each sample has a baseline computed from the others.

Mnih & Rezende 2016 (arXiv:1602.06725), with the geometric mean.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ..densities import log_prob
from ..estimator import ESTIMATORS
from ..noise import NoiseFn
from ..sampling import gumbel_max, one_hot
from ..surrogate import Cost, evaluate, repeat_copies, sum_event, upcast
from .reinforce import REINFORCE


@ESTIMATORS.register("vimco")
class VIMCO(REINFORCE):
    """Estimator for ``layer.multi_sample_bound``; of an expectation it is REINFORCE with the leave-one-out baseline.

    Args:
        samples: draws of z per example for an expectation, which a bound with m = 1 is too.
        event_shape: shape ``n k`` of one example's logits.
    """

    minimum_samples = 2

    def __init__(self, samples: int = 4, event_shape: Sequence[int] | None = None) -> None:
        super().__init__(samples, event_shape=event_shape)

    def multi_sample_bound(
        self, logits: Tensor, log_weight: Cost, m: int, temperature: Tensor | float, noise_fn: NoiseFn
    ) -> Tensor:
        """Return the bound, ``b``; each copy's score is weighted by the gain of the bound from that copy."""
        if m == 1:
            return super().multi_sample_bound(logits, log_weight, m, temperature, noise_fn)
        copies = repeat_copies(logits, m)  # b n m k
        codes = gumbel_max(copies, noise=noise_fn(copies)).movedim(-1, 0)  # m b n
        log_weights = evaluate(log_weight, one_hot(codes, logits.shape[-1], logits.dtype))  # m b
        bound = log_weights.logsumexp(0) - math.log(m)
        score = sum_event(log_prob(copies.movedim(-2, 0), codes), like=log_weights)  # m b
        observed = upcast(log_weights.detach())
        surrogate = ((bound.detach() - without_each(observed)) * score).sum(0)
        return bound + (surrogate - surrogate.detach())

    def bound_samples(self, m: int) -> int:
        """Return 1 for several copies, which are each other's baseline."""
        return self.samples if m == 1 else 1


def without_each(log_weights: Tensor) -> Tensor:
    """Return the bounds with copy j's weight replaced by the geometric mean of the others, ``m b -> m b``.

    Where all others have weight 0, it is 0, since they say nothing of the bound. Sums over the copies before j and
    after j leave its weight out, which may be -inf. Time and memory are linear in m.
    """
    m, first, last = len(log_weights), log_weights[:-1], log_weights[1:].flip(0)
    zero = torch.zeros_like(log_weights[:1])
    total = torch.cat([zero, first.cumsum(0)]) + torch.cat([zero, last.cumsum(0)]).flip(0)
    nothing = torch.full_like(zero, -math.inf)
    before = torch.cat([nothing, first.logcumsumexp(0)])
    after = torch.cat([nothing, last.logcumsumexp(0)]).flip(0)
    others = torch.logaddexp(before, after)
    bound = torch.logaddexp(others, total / (m - 1)) - math.log(m)
    return bound.masked_fill(others.isneginf(), 0.0)
