"""Exact expectation by enumeration of all C(n, k) subsets, the reference of the other estimators of its law."""

from __future__ import annotations

import math
from itertools import combinations

import torch
from torch import Tensor

from ..estimators.exact import MAXIMUM_CONFIGURATIONS, configurations
from ..noise import NoiseFn
from ..surrogate import Cost, evaluate, sum_event
from . import conditional_bernoulli
from .checks import check_items
from .estimator import SUBSET_ESTIMATORS, SubsetEstimator
from .top_k import k_hot, top_k


@SUBSET_ESTIMATORS.register("exact")
class SubsetExact(SubsetEstimator):
    """Sum of q(z) cost(z) over all z of a conditional Bernoulli law: no bias, no variance, C(n, k) cost evaluations.

    Args:
        k: items in a draw.
    """

    law = "conditional_bernoulli"
    unbiased = True
    pathwise = False
    learns_temperature = False

    def __init__(self, k: int) -> None:
        super().__init__(k)

    def expectation(self, logits: Tensor, cost: Cost, temperature: Tensor | float, noise_fn: NoiseFn) -> Tensor:
        """Compute the expectation, ``b``.

        Raises:
            ValueError: more than 65,536 configurations.
        """
        check_items(logits, self.k)
        n = logits.shape[-1]
        with torch.no_grad():  # one evaluation shows which axes belong to one example
            batch = evaluate(cost, k_hot(top_k(logits, self.k), n, logits.dtype)).shape
        event = logits.shape[len(batch) : -1]
        rows, sets = event.numel(), math.comb(n, self.k)
        if sets**rows > MAXIMUM_CONFIGURATIONS:
            raise ValueError(
                f"subset estimator 'exact' enumerates {sets}^{rows} configurations, more than "
                f"{MAXIMUM_CONFIGURATIONS}; use fewer items or rows, or a sampling estimator such as 'reinforce'"
            )
        codes = configurations(rows, sets, logits.device)  # c rows
        z = subsets(n, self.k, logits.device)[codes].to(logits.dtype)  # c rows n
        z = z.reshape(-1, *[1] * len(batch), *event, n).expand(-1, *logits.shape)  # c b n
        value = evaluate(cost, z)  # c b
        probability = sum_event(conditional_bernoulli.log_prob(logits, z, self.k), like=value).exp()  # c b
        # A masked configuration may have any cost, infinite too, and 0 * inf is NaN.
        return (probability * value.masked_fill(probability == 0, 0.0)).sum(0)

    def cost_evaluations(self, n: int, k: int) -> int:
        """Return one per configuration of n rows of k items, and one that shows the shape of the cost."""
        return math.comb(k, self.k) ** n + 1


def subsets(n: int, k: int, device: torch.device | None = None) -> Tensor:
    """Return the k-hot vectors of all subsets in lexicographic order, float32 ``c n``."""
    return k_hot(torch.tensor(list(combinations(range(n), k)), device=device), n)
