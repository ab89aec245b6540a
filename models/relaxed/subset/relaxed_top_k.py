"""Relaxed top-k: a differentiable stand-in of the k largest of the perturbed logits.

Xie & Ermon 2019 (arXiv:1901.10517), section 3.2.
"""

from __future__ import annotations

from torch import Tensor

from ..noise import NoiseFn
from ..surrogate import upcast
from .checks import check_items
from .estimator import SUBSET_ESTIMATORS, SubsetEstimator
from .top_k import relaxed_top_k


@SUBSET_ESTIMATORS.register("relaxed_top_k")
class RelaxedTopK(SubsetEstimator):
    """Relaxed draws of a Plackett-Luce law: value and gradient are biased, and both biases vanish as temperature -> 0.

    With k = 1 it is Gumbel-Softmax.
    """

    law = "plackett_luce"
    unbiased = False
    pathwise = True
    exact_value = False
    one_hot_forward = False

    def sample(self, logits: Tensor, temperature: Tensor | float, noise_fn: NoiseFn) -> Tensor:
        """Draw a relaxed sample ``... n`` of sum k."""
        check_items(logits, self.k)
        return relaxed_top_k(upcast(logits) + noise_fn(logits), self.k, temperature).to(logits.dtype)
