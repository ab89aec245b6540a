"""Straight-through Gumbel-Softmax: one-hot samples forward, the gradient of the relaxed sample backward.

Jang, Gu & Poole 2017 (arXiv:1611.01144), section 2.2.
"""

from __future__ import annotations

from torch import Tensor

from ..estimator import ESTIMATORS, Estimator
from ..noise import NoiseFn
from ..sampling import gumbel_softmax, hard_from_soft
from ..surrogate import straight_through, upcast


@ESTIMATORS.register("straight_through_gumbel_softmax")
class StraightThroughGumbelSoftmax(Estimator):
    """Exact one-hot samples: the value is unbiased, the gradient for the logits is biased.

    Most accurate per cost evaluation in benchmarks/estimators: temperature 0.1, then 0.3.
    """

    unbiased = False
    pathwise = True

    def sample(self, logits: Tensor, temperature: Tensor | float, noise_fn: NoiseFn) -> Tensor:
        """Draw a one-hot sample ``... k``."""
        soft = gumbel_softmax(upcast(logits), temperature, noise=noise_fn)  # half precision has ties
        return straight_through(hard_from_soft(soft), soft).to(logits.dtype)
