"""Plain straight-through: a one-hot sample forward, the gradient of softmax(logits / temperature) backward.

Bengio, Leonard & Courville 2013 (arXiv:1308.3432), for categories; temperature 1 is the classic form.
"""

from __future__ import annotations

from torch import Tensor

from ..estimator import ESTIMATORS, Estimator, NoiseSource
from ..sampling import gumbel_max, one_hot, straight_through, tempered_softmax


@ESTIMATORS.register("straight_through")
class StraightThrough(Estimator):
    """The sample is drawn from softmax(logits) whatever the temperature, which shapes the backward pass only.

    In benchmarks/estimators inaccurate for 8 categories at every temperature, least so at 0.3; better for two.
    """

    unbiased = False
    pathwise = True

    def sample(self, logits: Tensor, temperature: Tensor | float, source: NoiseSource) -> Tensor:
        """An exactly one-hot sample ``... k``."""
        codes = gumbel_max(logits.detach(), noise=source(logits))
        probabilities = tempered_softmax(logits, temperature)
        return straight_through(one_hot(codes, logits.shape[-1], logits.dtype), probabilities)
