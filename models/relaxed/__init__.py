"""The relaxed-sampling layer, shared by every model: ``RelaxedCategorical`` and the pure functions under it."""

from . import estimators  # noqa: F401  (importing registers)
from .estimator import ESTIMATORS, Estimator
from .layer import RelaxedCategorical
from .schedules import SCHEDULES

__all__ = ["ESTIMATORS", "SCHEDULES", "Estimator", "RelaxedCategorical"]
