"""Attention as a choice of one place: soft, hard by any estimator, and exactly marginal."""

from . import attentions, cells, encoders  # noqa: F401  (importing registers)
