"""Quantizers: vectors to codes and back, each with its gradient, by name in ``QUANTIZERS``."""

from . import gumbel, vector
from .quantizer import QUANTIZERS, Quantized, Quantizer

__all__ = ["QUANTIZERS", "Quantized", "Quantizer", "gumbel", "vector"]
