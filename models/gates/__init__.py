"""Gates: which channels or units of a network stay open, and what they cost."""

from . import bernoulli, exactly_k, fixed, hard_concrete, random_k, scale  # noqa: F401  (importing registers)
from .base import GATES, Gates
from .costs import GATE_COSTS, GateCost
from .frequency_gate import FrequencyGate
from .networks import GATED_NETWORKS, GatedNetwork
from .selectors import SELECTORS, Selector
from .sparse_classifier import SparseClassifier
from .sparse_variational_dropout import SparseVariationalDropout

__all__ = [
    "GATED_NETWORKS",
    "GATES",
    "GATE_COSTS",
    "SELECTORS",
    "FrequencyGate",
    "GateCost",
    "GatedNetwork",
    "Gates",
    "Selector",
    "SparseClassifier",
    "SparseVariationalDropout",
]
