"""Image classifiers; their features compare samples of other models with data."""

from .cnn import Classifier

__all__ = ["Classifier"]
