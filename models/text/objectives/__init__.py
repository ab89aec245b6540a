"""Training objectives of text generators, one per file; importing this package registers them in ``OBJECTIVES``."""

from . import gumbel_gan, maximum_likelihood, scheduled_sampling, seqgan  # noqa: F401  (importing registers)
from .adversarial import Adversarial, Adversary
from .base import OBJECTIVES, Objective

__all__ = ["OBJECTIVES", "Adversarial", "Adversary", "Objective"]
