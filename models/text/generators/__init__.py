"""Autoregressive language models, one per file; importing this package registers them in ``GENERATORS``."""

from . import lstm, transformer  # noqa: F401  (importing registers)
from .base import GENERATORS, LanguageModel
from .feedback import FEEDBACKS

__all__ = ["FEEDBACKS", "GENERATORS", "LanguageModel"]
