"""Gates: which channels of a network stay open, and what they cost."""

from . import bernoulli, exactly_k, fixed, hard_concrete, scale  # noqa: F401  (importing registers)
from .base import GATES, Gates
from .costs import GATE_COSTS, GateCost
from .frequency_gate import FrequencyGate
from .selectors import SELECTORS, Selector

__all__ = ["GATES", "GATE_COSTS", "SELECTORS", "FrequencyGate", "GateCost", "Gates", "Selector"]
