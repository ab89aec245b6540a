"""Autoregressive generators of text, one per file; importing this package registers them in ``GENERATORS``."""

from . import lstm, transformer  # noqa: F401  (importing registers)
from .base import GENERATORS, Generator

__all__ = ["GENERATORS", "Generator"]
