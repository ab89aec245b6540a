"""Exactly k of n items: the layer, its two laws, and its gradient estimators, one per file."""

from . import exact, reinforce, relaxed_top_k, simple, straight_through_top_k  # noqa: F401  (importing registers)
from .estimator import SUBSET_ESTIMATORS, SubsetEstimator
from .layer import RelaxedSubset

__all__ = ["SUBSET_ESTIMATORS", "RelaxedSubset", "SubsetEstimator"]
