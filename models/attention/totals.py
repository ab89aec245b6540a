"""Means of values per step of a target. Axes: ``b`` batch, ``t`` steps."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class Totals:
    """Sums of values and their numbers, by name, over the batches of a pass."""

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}

    def add(self, name: str, values: Tensor, steps: Tensor) -> None:
        """Add values ``b t`` where ``steps`` is True."""
        found = torch.stack([values.double().masked_fill(~steps, 0.0).sum(), steps.double().sum()])
        self.sums[name] = self.sums[name] + found if name in self.sums else found

    def means(self, strategy: Any) -> dict[str, Tensor]:
        """Return the mean of each name over all processes."""
        total, number = strategy.reduce(torch.stack(list(self.sums.values())), reduce_op="sum").unbind(1)
        return dict(zip(self.sums, (total / number).float(), strict=True))
