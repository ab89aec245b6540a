"""The relaxed-sampling layer, shared by every model: ``RelaxedCategorical`` and the pure functions under it."""

from . import exact, gumbel_softmax, reinforce, straight_through, straight_through_gumbel_softmax
from .estimator import ESTIMATORS, Estimator
from .layer import RelaxedCategorical
from .schedules import SCHEDULES

__all__ = [
    "ESTIMATORS",
    "SCHEDULES",
    "Estimator",
    "RelaxedCategorical",
    "exact",
    "gumbel_softmax",
    "reinforce",
    "straight_through",
    "straight_through_gumbel_softmax",
]
