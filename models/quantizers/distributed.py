"""What the processes of a distributed run must agree on: sums over all rows, and rows drawn from all of them."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor


def total(value: Tensor) -> Tensor:
    """The sum of ``value`` over all processes; in place."""
    if _many():
        dist.all_reduce(value)
    return value


def draw_rows(rows: Tensor, number: int) -> Tensor:
    """``number`` rows of all processes' ``n d``, the same ones in each, ``number d``; without replacement if n allows.

    The indices are drawn by the first process, so that two processes draw what one would draw from their joined rows.
    """
    counts = torch.zeros(_size(), dtype=torch.int64, device=rows.device)
    counts[_rank()] = len(rows)
    n = int(total(counts).sum())
    index = torch.cat([torch.randperm(n, device=rows.device) for _ in range(-(-number // n))])[:number]
    if _many():
        dist.broadcast(index, src=0)
    index = index - counts[: _rank()].sum()
    mine = (index >= 0) & (index < len(rows))
    drawn = rows[index.clamp(0, len(rows) - 1)] * mine[:, None]
    return total(drawn)


def _many() -> bool:
    return _size() > 1


def _size() -> int:
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def _rank() -> int:
    return dist.get_rank() if _many() else 0
