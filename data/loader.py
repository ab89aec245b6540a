"""Batches of tensors that live in memory, taken by index, from a position that a checkpoint can hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from einops import rearrange
from torch import Tensor

from .keyed_random import SHUFFLE, Key, permutation

Batch = dict[str, Tensor]
Prepare = Callable[[Batch, Key], Batch]


def training_rows(order: Tensor, batch_size: int, rank: int, world_size: int) -> tuple[Tensor, ...]:
    """The rows of each of a process's batches: equally many full batches for every process, the remainder dropped.

    All processes together see what one process with ``world_size`` times the batch size would see.
    """
    steps = len(order) // (batch_size * world_size)
    order = order[: steps * batch_size * world_size]
    return rearrange(order, "(steps b ranks) -> ranks steps b", b=batch_size, ranks=world_size)[rank].unbind()


def evaluation_rows(order: Tensor, batch_size: int, rank: int, world_size: int) -> tuple[Tensor, ...]:
    """The rows of each of a process's batches: every row exactly once over all processes, in nearly equal batches.

    Every process has the same number of batches, for a process that has one more than the others waits for ever in
    the first collective operation.
    """
    steps = -(-len(order) // (batch_size * world_size))
    return order[rank::world_size].tensor_split(steps)


class TensorLoader:
    """Iterates over ``tensors`` (each ``n ...``) in batches of at most ``batch_size`` rows.

    With ``shuffle`` each epoch is a permutation given by ``(seed, epoch)`` and the remainder is dropped; without it
    every row comes once, in order. ``prepare(batch, key)`` finishes a batch; its key ``(seed, epoch, step, rank)`` is
    all the randomness it may use.

    Each ``iter()`` after a pass that was begun begins the next epoch; the state that is taken while a batch is in use
    goes on with the next batch. One loop at a time. It is a plain iterable with the methods that Lightning looks for
    (``sampler.set_epoch``, ``state_dict``, ``load_state_dict``), so that Lightning neither wraps it nor adds a sampler.

    Raises:
        ValueError: sizes that leave a process an empty batch, or a mid-epoch state of another batch layout.
    """

    def __init__(
        self,
        tensors: Batch,
        batch_size: int,
        prepare: Prepare = lambda batch, key: batch,
        *,
        shuffle: bool = False,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        n = len(next(iter(tensors.values())))
        if batch_size < 1 or seed < 0:
            raise ValueError(f"batch_size must be >= 1 and seed >= 0, got batch_size={batch_size} and seed={seed}")
        if shuffle and batch_size * world_size > n:
            raise ValueError(f"batch_size {batch_size} is too large: {n} rows give {world_size} x {n // world_size}")
        self.tensors, self.prepare, self.seed, self.rank, self.shuffle = tensors, prepare, seed, rank, shuffle
        self.layout = {"rows": n, "batch_size": batch_size, "world_size": world_size, "seed": seed}
        self.epoch = 0
        self.position = 0
        self._begun = False
        self._announced: int | None = None
        if shuffle:
            self.sampler = self
        elif n // world_size < len(self):
            raise ValueError(f"{n} rows leave one of {world_size} processes an empty batch; use fewer processes")

    def _rows(self) -> tuple[Tensor, ...]:
        n, batch_size, world_size = (self.layout[name] for name in ("rows", "batch_size", "world_size"))
        if self.shuffle:
            order = permutation(n, (SHUFFLE, self.seed, self.epoch))
            return training_rows(order, batch_size, self.rank, world_size)
        return evaluation_rows(torch.arange(n), batch_size, self.rank, world_size)

    def __len__(self) -> int:
        """Batches of a whole epoch, the same for every process."""
        share = self.layout["batch_size"] * self.layout["world_size"]
        return self.layout["rows"] // share if self.shuffle else -(-self.layout["rows"] // share)

    def __iter__(self) -> Iterator[Batch]:
        if self._begun:
            self._begin(self.epoch + 1)
        return self._batches()

    def _batches(self) -> Iterator[Batch]:
        # Epoch and position are read at the first batch: Lightning asks for the iterator before it sets the epoch.
        epoch, first, self._begun = self.epoch, self.position, True
        for step, rows in enumerate(self._rows()[first:], start=first):
            batch = {name: tensor.index_select(0, rows) for name, tensor in self.tensors.items()}
            self.position = step + 1
            yield self.prepare(batch, (self.seed, epoch, step, self.rank))

    def _begin(self, epoch: int) -> None:
        self.epoch, self.position, self._begun = epoch, 0, False

    def set_epoch(self, epoch: int) -> None:
        """Lightning's announcement: the first one sets the epoch, a new number after that means the next epoch.

        Later numbers are not taken as they are, for Lightning leaves one out when it resumes a run of ``max_steps``
        from the end of an epoch.
        """
        if self._announced is None:
            self._begin(epoch)
        elif epoch != self._announced and self.position > 0:
            self._begin(self.epoch + 1)
        self._announced = epoch

    def state_dict(self) -> dict[str, Any]:
        """The position, in plain values and equal on every process."""
        return {
            "epoch": self.epoch,
            "position": self.position,
            "announced": self._announced,
            "batches": len(self),
            "layout": dict(self.layout),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Make the next batch the one that follows ``state``."""
        changed = [name for name, value in self.layout.items() if state["layout"].get(name) != value]
        finished = state["position"] >= state["batches"]
        if changed and state["position"] > 0 and not finished:
            was = ", ".join(f"{name}={state['layout'].get(name)}" for name in changed)
            raise ValueError(f"the checkpoint was written in mid-epoch with {was}; resume with the same values")
        self._begin(state["epoch"])
        self._announced = state["announced"]
        self.position = len(self) if finished else state["position"]
