"""Straight-through top-k: k-hot draws forward, the gradient of the relaxed top-k of the same noise backward.

Xie & Ermon 2019 (arXiv:1901.10517), with the straight-through form of Jang, Gu & Poole 2017 (arXiv:1611.01144),
section 2.2.
"""

from __future__ import annotations

from torch import Tensor

from ..noise import NoiseFn
from ..surrogate import straight_through, upcast
from .checks import check_items
from .estimator import SUBSET_ESTIMATORS, SubsetEstimator
from .top_k import k_hot, relaxed_top_k, top_k


@SUBSET_ESTIMATORS.register("straight_through_top_k")
class StraightThroughTopK(SubsetEstimator):
    """Exact k-hot draws of a Plackett-Luce law: the value is unbiased, the gradient for the logits is biased.

    With k = 1 it is straight-through Gumbel-Softmax.
    """

    law = "plackett_luce"
    unbiased = False
    pathwise = True

    def sample(self, logits: Tensor, temperature: Tensor | float, noise_fn: NoiseFn) -> Tensor:
        """Draw a k-hot sample ``... n``."""
        check_items(logits, self.k)
        keys = upcast(logits) + noise_fn(logits)
        soft = relaxed_top_k(keys, self.k, temperature)
        return straight_through(k_hot(top_k(keys, self.k), keys.shape[-1], soft.dtype), soft).to(logits.dtype)
