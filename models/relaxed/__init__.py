"""Relaxed sampling of categories, shared by every model: ``RelaxedCategorical`` and its pure functions."""

from . import estimators  # noqa: F401  (importing registers)
from .estimator import ESTIMATORS, Estimator
from .layer import RelaxedCategorical
from .schedules import SCHEDULES
from .select import select
from .taken import exclude_taken
from .trajectory import trajectory_surrogate

__all__ = [
    "ESTIMATORS",
    "SCHEDULES",
    "Estimator",
    "RelaxedCategorical",
    "exclude_taken",
    "select",
    "trajectory_surrogate",
]
