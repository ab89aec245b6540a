"""SIMPLE: exact k-hot draws forward, the gradient of the exact marginals backward.

Ahmed, Zeng, Niepert & Van den Broeck 2023 (arXiv:2210.01941), section 3. Draws and marginals must be of one law: the
k largest of Gumbel-perturbed log-probabilities are draws of another one (Plackett-Luce).
"""

from __future__ import annotations

from torch import Tensor

from ..noise import NoiseFn
from ..surrogate import straight_through
from . import conditional_bernoulli
from .estimator import SUBSET_ESTIMATORS, SubsetEstimator


@SUBSET_ESTIMATORS.register("simple")
class SIMPLE(SubsetEstimator):
    """Exact draws of a conditional Bernoulli law, at any temperature: the gradient is exact for a linear cost.

    The value is unbiased. For other costs the gradient is biased.
    """

    law = "conditional_bernoulli"
    unbiased = False
    pathwise = True
    learns_temperature = False

    def sample(self, logits: Tensor, temperature: Tensor | float, noise_fn: NoiseFn) -> Tensor:
        """Draw a k-hot sample ``... n``."""
        draw = conditional_bernoulli.sample(logits.detach(), self.k, noise=noise_fn(logits))
        marginals = conditional_bernoulli.marginals(logits, self.k)
        return straight_through(draw, marginals.to(draw.dtype))
