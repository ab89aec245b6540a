"""Gumbel-Softmax: relaxed samples softmax((logits + g) / temperature) and the gradient through them.

Jang, Gu & Poole 2017 (arXiv:1611.01144), eq. 2; Maddison, Mnih & Teh 2017 (arXiv:1611.00712), section 3.2.
"""

from __future__ import annotations

from torch import Tensor

from ..estimator import ESTIMATORS, Estimator
from ..noise import NoiseFn
from ..sampling import gumbel_softmax


@ESTIMATORS.register("gumbel_softmax")
class GumbelSoftmax(Estimator):
    """Relaxed samples: value and gradient are biased, and both biases vanish as temperature -> 0.

    Most accurate per cost evaluation in benchmarks/estimators: temperature 0.3, then 0.1.
    """

    unbiased = False
    pathwise = True
    exact_value = False
    one_hot_forward = False

    def sample(self, logits: Tensor, temperature: Tensor | float, noise_fn: NoiseFn) -> Tensor:
        """Draw a relaxed sample ``... k``."""
        return gumbel_softmax(logits, temperature, noise=noise_fn)
