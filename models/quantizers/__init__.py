"""Quantizers: vectors to codes and back, each with its gradient, by name in ``QUANTIZERS``."""

from . import fsq, gumbel, product, residual, sim_vq, vector
from .quantizer import QUANTIZERS, Quantized, Quantizer
from .use import CodebookUse

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
