"""Interface of the gradient estimators of E_{z ~ q}[cost(z)] over k of n items, and their registry.

Axes: ``b`` batch, ``n`` items, ``k`` the number that is drawn, ``s`` samples. An estimator is one class in one file,
registered with ``@SUBSET_ESTIMATORS.register("name")``. Its class attributes are facts that the tests check.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from ....registry import Registry
from ..estimator import Estimator
from ..noise import NoiseFn
from .checks import check_k
from .laws import LAWS


class SubsetEstimator(Estimator):
    """Base class of estimators of k of n. Subclasses state the facts and write ``sample`` or ``expectation``.

    The facts are those of ``Estimator``, with k-hot for one-hot. ``law`` is one more, since the two laws of k of n are
    different distributions, and each relaxation has its own.

    Args:
        k: items in a draw.
        samples: draws of z per example; with more than one, z has a leading axis ``s``, which the cost keeps.

    Raises:
        ValueError: k < 1, fewer samples than ``minimum_samples``.
    """

    law: ClassVar[str]  # what z is drawn from: conditional_bernoulli or plackett_luce

    def __init__(self, k: int, samples: int = 1) -> None:
        super().__init__(samples)
        self.k = check_k(k)

    def kl(self, logits: Tensor, prior_logits: Tensor | None, temperature: Tensor | float, noise_fn: NoiseFn) -> Tensor:
        """Compute KL(q || prior) of the law per row in nats, ``... n -> ...``."""
        return LAWS[self.law].kl(logits, prior_logits, self.k)


SUBSET_ESTIMATORS: Registry[type[SubsetEstimator]] = Registry("subset estimator", context=("k",), base=SubsetEstimator)
