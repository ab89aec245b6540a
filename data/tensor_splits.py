"""Splits of a data set that are tensors in memory, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class TensorSplit:
    """Rows of a split by batch key, as many of each."""

    rows: Mapping[str, Tensor]

    def tensors(self) -> dict[str, Tensor]:
        """Return all rows by batch key."""
        return dict(self.rows)

    def __len__(self) -> int:
        return len(next(iter(self.rows.values())))


@dataclass(frozen=True)
class TensorSplits:
    """Rows for training, validation and test, and where they come from."""

    train: TensorSplit
    valid: TensorSplit
    test: TensorSplit
    source: str
