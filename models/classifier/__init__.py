"""Classifiers, whose features measure samples of other models."""

from .cnn import Classifier

__all__ = ["Classifier"]
