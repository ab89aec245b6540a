"""Straight-through: one-hot samples forward, the gradient of softmax(logits / temperature) backward.

Bengio, Leonard & Courville 2013 (arXiv:1308.3432), for categories; temperature 1 is the classic form.
"""

from __future__ import annotations

from torch import Tensor

from ..estimator import ESTIMATORS, Estimator
from ..noise import NoiseFn
from ..sampling import gumbel_max, one_hot, tempered_softmax
from ..surrogate import straight_through


@ESTIMATORS.register("straight_through")
class StraightThrough(Estimator):
    """Samples of softmax(logits) at any temperature, which only shapes the backward pass.

    Inaccurate for 8 categories at every temperature in benchmarks/estimators, least so at 0.3; better for two.
    """

    unbiased = False
    pathwise = True

    def sample(self, logits: Tensor, temperature: Tensor | float, noise_fn: NoiseFn) -> Tensor:
        """Draw a one-hot sample ``... k``."""
        codes = gumbel_max(logits.detach(), noise=noise_fn(logits))
        probabilities = tempered_softmax(logits, temperature)
        return straight_through(one_hot(codes, logits.shape[-1], logits.dtype), probabilities)
