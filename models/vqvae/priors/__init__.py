"""Distributions over grids of codes, one per file; importing this package registers them in ``CODE_NETWORKS``."""

from . import maskgit, pixelcnn  # noqa: F401  (importing registers)
from .base import CODE_NETWORKS, CodeNetwork

__all__ = ["CODE_NETWORKS", "CodeNetwork"]
