"""Sums, means and draws over all processes of a distributed run, equal in every process."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor


def total(value: Tensor) -> Tensor:
    """Sum ``value`` over all processes, in place."""
    if _many():
        dist.all_reduce(value)
    return value


def process_mean(value: Tensor) -> Tensor:
    """Return the mean of ``value`` over all processes, without gradient.

    DDP averages gradients over processes. So a sum over the examples of one process is divided by the mean count of the
    processes, where one process would divide by its count.
    """
    return total(value.detach().float().clone()) / _size() if _many() else value.detach()


def draw_inputs(inputs: Tensor, number: int) -> Tensor:
    """Draw from the inputs ``n d`` of all processes, ``number d``; without replacement if there are enough.

    The first process draws the indices, so that two processes draw what one would draw from their joined inputs.
    """
    counts = torch.zeros(_size(), dtype=torch.int64, device=inputs.device)
    counts[_rank()] = len(inputs)
    n = int(total(counts).sum())
    index = torch.cat([torch.randperm(n, device=inputs.device) for _ in range(-(-number // n))])[:number]
    if _many():
        dist.broadcast(index, src=0)
    # Each process contributes its own inputs and zeros elsewhere.
    index = index - counts[: _rank()].sum()
    mine = (index >= 0) & (index < len(inputs))
    drawn = inputs[index.clamp(0, len(inputs) - 1)] * mine[:, None]
    return total(drawn)


def _many() -> bool:
    return _size() > 1


def _size() -> int:
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def _rank() -> int:
    return dist.get_rank() if _many() else 0
