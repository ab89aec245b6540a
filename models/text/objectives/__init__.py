"""Training objectives of text generators; importing this package registers them in ``OBJECTIVES``."""

from . import gumbel_gan, seqgan  # noqa: F401  (importing registers)
from .base import OBJECTIVES, Objective

__all__ = ["OBJECTIVES", "Objective"]
