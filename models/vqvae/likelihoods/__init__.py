"""Distributions of pixels given the decoder's outputs; importing this package registers them in ``LIKELIHOODS``."""

from . import discrete, gaussian, logistic_mixture  # noqa: F401  (importing registers)
from .base import LIKELIHOODS, Likelihood

__all__ = ["LIKELIHOODS", "Likelihood"]
