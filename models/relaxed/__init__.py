"""The relaxed-sampling layer, shared by every model: ``RelaxedCategorical`` and the pure functions under it."""

from . import (
    arsm,
    concrete,
    decoupled_straight_through_gumbel_softmax,
    disarm,
    exact,
    gapped_straight_through,
    gumbel_rao,
    gumbel_softmax,
    muprop,
    rebar,
    reinforce,
    reinmax,
    relax,
    straight_through,
    straight_through_gumbel_softmax,
    unordered,
    vimco,
)
from .estimator import ESTIMATORS, Estimator
from .layer import RelaxedCategorical
from .schedules import SCHEDULES

__all__ = [
    "ESTIMATORS",
    "SCHEDULES",
    "Estimator",
    "RelaxedCategorical",
    "arsm",
    "concrete",
    "decoupled_straight_through_gumbel_softmax",
    "disarm",
    "exact",
    "gapped_straight_through",
    "gumbel_rao",
    "gumbel_softmax",
    "muprop",
    "rebar",
    "reinforce",
    "reinmax",
    "relax",
    "straight_through",
    "straight_through_gumbel_softmax",
    "unordered",
    "vimco",
]
