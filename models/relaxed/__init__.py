"""Relaxed sampling, shared by every model: ``RelaxedCategorical``, ``RelaxedSubset`` and their pure functions."""

from . import estimators  # noqa: F401  (importing registers)
from .estimator import ESTIMATORS, Estimator
from .layer import RelaxedCategorical
from .schedules import SCHEDULES
from .select import select
from .subset import SUBSET_ESTIMATORS, RelaxedSubset, SubsetEstimator
from .taken import exclude_taken
from .trajectory import trajectory_surrogate

__all__ = [
    "ESTIMATORS",
    "SCHEDULES",
    "SUBSET_ESTIMATORS",
    "Estimator",
    "RelaxedCategorical",
    "RelaxedSubset",
    "SubsetEstimator",
    "exclude_taken",
    "select",
    "trajectory_surrogate",
]
