"""Quantizers: vectors to codes and back, with a gradient. Importing this package registers all of them."""

from . import fsq, gumbel, product, residual, sim_vq, vector  # noqa: F401  (importing registers)
from .codebook_usage import CodebookUsage
from .quantizer import QUANTIZERS, Quantized, Quantizer

__all__ = ["QUANTIZERS", "CodebookUsage", "Quantized", "Quantizer"]
