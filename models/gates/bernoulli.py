"""Bernoulli gates: each is open or closed, and any estimator of two categories gives the gradient."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from ...registry import Spec
from ..relaxed import ESTIMATORS, SCHEDULES, RelaxedCategorical
from ..relaxed.surrogate import Cost
from .base import GATES, Gates


@GATES.register("bernoulli")
class BernoulliGates(Gates):
    """Independent gates with log-odds ``logits``.

    Args:
        channels: number of gates n.
        estimator: of the gradient: a name, or ``{name: reinforce, samples: 4, ...}``. ``exact`` evaluates 2^n choices.
        temperature: a number > 0, or the name or spec of a schedule.

    Raises:
        ValueError: an unknown name or option.
    """

    parts: ClassVar[Mapping[str, Any]] = {"estimator": ESTIMATORS, "temperature": SCHEDULES}

    def __init__(self, channels: int, estimator: Spec = "disarm", temperature: float | Spec = 1.0) -> None:
        super().__init__(channels)
        self.layer = RelaxedCategorical(estimator, temperature, event_shape=(channels, 2))

    def expectation(self, logits: Tensor, cost: Cost) -> Tensor:
        """Estimate E[cost(z)], ``b n -> b``; see the base class."""
        if not self.training:
            return cost(self.mode(logits))
        return self.layer.expectation(_pairs(logits), lambda z: cost(z[..., 1]))

    def mode(self, logits: Tensor) -> Tensor:
        """Return 1 for the gates that are open with probability above 1/2, ``... n``."""
        return self.layer.mode(_pairs(logits)).to(logits.dtype)

    def open_probability(self, logits: Tensor) -> Tensor:
        """Compute sigmoid(logits), ``... n``."""
        return logits.sigmoid()


def _pairs(logits: Tensor) -> Tensor:
    """Logits of closed and open, ``... n -> ... n 2``."""
    return torch.stack([torch.zeros_like(logits), logits], -1)
