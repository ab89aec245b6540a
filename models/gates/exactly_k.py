"""Gates of which exactly k are open."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor

from ...registry import Spec
from ..relaxed import SCHEDULES, SUBSET_ESTIMATORS, RelaxedSubset
from ..relaxed.surrogate import Cost
from .base import GATES, Gates, check_open


@GATES.register("exactly_k")
class ExactlyKGates(Gates):
    """k of n gates; no penalty is needed. ``open_probability`` is of the conditional Bernoulli law only.

    Args:
        channels: number of gates n.
        k: open gates, at most n.
        estimator: a subset estimator: its name, or ``{name: reinforce, samples: 4}``.
        temperature: a number > 0, or the name or spec of a schedule.

    Raises:
        ValueError: an unknown name or option, more gates to open than there are.
    """

    parts: ClassVar[Mapping[str, Any]] = {"estimator": SUBSET_ESTIMATORS, "temperature": SCHEDULES}

    def __init__(self, channels: int, k: int = 4, estimator: Spec = "simple", temperature: float | Spec = 1.0) -> None:
        super().__init__(channels)
        check_open(k, channels)
        self.k = k
        self.layer = RelaxedSubset(k, estimator, temperature)

    def expectation(self, logits: Tensor, cost: Cost) -> Tensor:
        """Estimate E[cost(z)], ``b n -> b``; see the base class."""
        return self.layer.expectation(logits, cost) if self.training else cost(self.mode(logits))

    def mode(self, logits: Tensor) -> Tensor:
        """Return 1 for the k largest logits, ``... n``."""
        return self.layer.mode(logits)

    def open_probability(self, logits: Tensor) -> Tensor:
        """Compute the marginals, ``... n``, which sum to k; ValueError for a Plackett-Luce law."""
        return self.layer.marginals(logits)
