"""Distributions over grids of codes, one per file; importing this package registers them in ``CODE_NETWORKS``."""

from . import maskgit, pixelcnn, transformer  # noqa: F401  (importing registers)
from .base import CODE_NETWORKS, AutoregressiveNetwork, CodeNetwork

__all__ = ["CODE_NETWORKS", "AutoregressiveNetwork", "CodeNetwork"]
