"""Quantizers: vectors to codes and back, each with its gradient, by name in ``QUANTIZERS``."""

from . import fsq, gumbel, product, residual, sim_vq, vector
from .codebook_usage import CodebookUse
from .quantizer import QUANTIZERS, Quantized, Quantizer

__all__ = [
    "QUANTIZERS",
    "CodebookUse",
    "Quantized",
    "Quantizer",
    "fsq",
    "gumbel",
    "product",
    "residual",
    "sim_vq",
    "vector",
]
