"""Variational autoencoders of binary images, and structured output prediction."""

from .categorical import CategoricalVAE
from .gaussian import GaussianVAE
from .structured_prediction import StructuredPrediction

__all__ = ["CategoricalVAE", "GaussianVAE", "StructuredPrediction"]
