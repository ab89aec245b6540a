"""Attention as a choice of one place: soft, hard by any estimator, and exactly marginal."""

from . import attentions, encoders  # noqa: F401  (importing registers)
