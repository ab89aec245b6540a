"""Straight-through Gumbel-Softmax: one-hot forward, the gradient of the relaxed sample backward.

Jang, Gu & Poole 2017 (arXiv:1611.01144), section 2.2.
"""

from __future__ import annotations

from torch import Tensor

from ..estimator import ESTIMATORS, Estimator, NoiseSource, full_precision
from ..sampling import gumbel_softmax, hard_from_soft, straight_through


@ESTIMATORS.register("straight_through_gumbel_softmax")
class StraightThroughGumbelSoftmax(Estimator):
    """The cost sees exact one-hot samples: its value is unbiased, the gradient for the logits is not.

    Most accurate per cost evaluation in benchmarks/estimators: temperature 0.1, then 0.3.
    """

    unbiased = False
    pathwise = True

    def sample(self, logits: Tensor, temperature: Tensor | float, source: NoiseSource) -> Tensor:
        """An exactly one-hot sample ``... k``."""
        soft = gumbel_softmax(
            full_precision(logits), temperature, noise=source(logits)
        )  # in half precision it has ties
        return straight_through(hard_from_soft(soft), soft).to(logits.dtype)
