"""Training objectives of text generators, one per file; importing this package registers them in ``OBJECTIVES``."""

from . import (  # noqa: F401  (importing registers)
    gumbel_gan,
    maximum_likelihood,
    organ,
    organ_gumbel,
    professor_forcing,
    scheduled_sampling,
    seqgan,
)
from .adversarial import Adversarial, Adversary
from .base import OBJECTIVES, Objective

__all__ = ["OBJECTIVES", "Adversarial", "Adversary", "Objective"]
