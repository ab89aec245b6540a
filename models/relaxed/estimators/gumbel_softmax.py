"""Gumbel-Softmax: the relaxed sample softmax((logits + g) / temperature) and the gradient through it.

Jang, Gu & Poole 2017 (arXiv:1611.01144), eq. 2; Maddison, Mnih & Teh 2017 (arXiv:1611.00712), section 3.2.
"""

from __future__ import annotations

from torch import Tensor

from ..estimator import ESTIMATORS, Estimator, NoiseSource
from ..sampling import gumbel_softmax


@ESTIMATORS.register("gumbel_softmax")
class GumbelSoftmax(Estimator):
    """The cost sees relaxed samples, so value and gradient are biased; both biases vanish as temperature -> 0.

    Most accurate per cost evaluation in benchmarks/estimators: temperature 0.3, then 0.1.
    """

    unbiased = False
    pathwise = True
    exact_value = False

    def sample(self, logits: Tensor, temperature: Tensor | float, source: NoiseSource) -> Tensor:
        """A relaxed sample ``... k``."""
        return gumbel_softmax(logits, temperature, noise=source(logits))
