"""Relaxed sampling of categories, shared by every model: ``RelaxedCategorical`` and its pure functions."""

from . import estimators  # noqa: F401  (importing registers)
from .estimator import ESTIMATORS, Estimator
from .layer import RelaxedCategorical
from .schedules import SCHEDULES

__all__ = ["ESTIMATORS", "SCHEDULES", "Estimator", "RelaxedCategorical"]
