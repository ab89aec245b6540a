"""Gradient estimators, one per file. Importing this package registers all of them in ``ESTIMATORS``."""

from . import (  # noqa: F401  (importing registers)
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
