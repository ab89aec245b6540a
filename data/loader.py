"""Batches of tensors in memory, taken by index, from a position that a checkpoint can store."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

import torch
from einops import rearrange
from torch import Tensor

from ..interfaces import Batch
from .keyed_random import SHUFFLE, Key, permutation

Transform = Callable[[Batch, Key], Batch]


def training_indices(order: Tensor, batch_size: int, rank: int, world_size: int) -> tuple[Tensor, ...]:
    """Split an order of rows into the batches of one process; the remainder is dropped.

    All processes have equally many full batches. Together they see what one process with ``world_size`` times the batch
    size would see.
    """
    steps = len(order) // (batch_size * world_size)
    order = order[: steps * batch_size * world_size]
    return rearrange(order, "(steps b ranks) -> ranks steps b", b=batch_size, ranks=world_size)[rank].unbind()


def evaluation_indices(order: Tensor, batch_size: int, rank: int, world_size: int) -> tuple[Tensor, ...]:
    """Split an order of rows into the batches of one process; every row comes exactly once over all processes.

    Batches are nearly equal in size. All processes have equally many: a process with one more would wait forever in
    its first collective operation.
    """
    steps = -(-len(order) // (batch_size * world_size))
    return order[rank::world_size].tensor_split(steps)


@runtime_checkable
class Selectable(Protocol):
    """A tensor ``n ...``, or what is read row by row as one."""

    def __len__(self) -> int:
        """Number of rows n."""

    def index_select(self, dim: int, index: Tensor, /) -> Tensor:
        """Return the rows at ``index``, int64 ``b``; ``dim`` is 0."""


class Rows:
    """Some rows of a tensor ``n ...``, by their int64 indices. Each is read when it is selected."""

    def __init__(self, tensor: Tensor, rows: Tensor) -> None:
        self.tensor, self.rows = tensor, rows

    def __len__(self) -> int:
        return len(self.rows)

    def index_select(self, dim: int, index: Tensor) -> Tensor:
        """Return the rows at ``index``, as ``Tensor.index_select`` does along the first axis."""
        return self.tensor.index_select(dim, self.rows[index])


class TensorLoader:
    """Data loader over tensors in memory.

    Every ``iter()`` after a started pass begins the next epoch. A state taken while a batch is in use resumes with the
    next batch. Only one iterator may be in use at a time. The class is a plain iterable with the methods that Lightning
    looks for (``sampler.set_epoch``, ``state_dict``, ``load_state_dict``), so that Lightning neither wraps it nor adds
    a sampler.

    Args:
        tensors: all rows by batch key, each ``n ...``.
        batch_size: most rows in a batch.
        transform: finishes a batch. Its key ``(seed, epoch, step, rank)`` is the only source of randomness it may use.
        shuffle: whether each epoch is a permutation given by ``(seed, epoch)`` without its remainder. Otherwise every
            row comes once, in order.
        seed: seed of permutations and keys.
        rank: index of this process.
        world_size: number of processes.

    Raises:
        ValueError: sizes that leave a process an empty batch.
    """

    def __init__(
        self,
        tensors: Mapping[str, Selectable],
        batch_size: int,
        transform: Transform = lambda batch, key: batch,
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
            each = f" for each of {world_size} processes" if world_size > 1 else ""
            remedy = f"set --data.batch_size={n // world_size} or less" if n >= world_size else "use fewer processes"
            raise ValueError(f"{n} examples of training are fewer than a batch of {batch_size}{each}; {remedy}")
        self.tensors, self.transform, self.seed, self.rank, self.shuffle = tensors, transform, seed, rank, shuffle
        self.layout = {"rows": n, "batch_size": batch_size, "world_size": world_size, "seed": seed}
        self.epoch = 0
        self.position = 0  # batches of this epoch that were handed out
        self._started = False
        self._announced: int | None = None  # epoch that Lightning last set
        if shuffle:
            self.sampler = self
        elif n // world_size < len(self):
            raise ValueError(f"{n} rows leave one of {world_size} processes an empty batch; use fewer processes")

    def __len__(self) -> int:
        """Batches of a whole epoch, the same for every process."""
        rows_per_step = self.layout["batch_size"] * self.layout["world_size"]
        return self.layout["rows"] // rows_per_step if self.shuffle else -(-self.layout["rows"] // rows_per_step)

    def __iter__(self) -> Iterator[Batch]:
        if self._started:
            self._start(self.epoch + 1)
        return self._batches()

    def set_epoch(self, epoch: int) -> None:
        """Take Lightning's epoch number: the first call sets the epoch, a changed number later means the next epoch.

        Later numbers are not taken as they are: Lightning skips one when it resumes a run of ``max_steps`` from the end
        of an epoch.
        """
        if self._announced is None:
            self._start(epoch)
        elif epoch != self._announced and self.position > 0:
            self._start(self.epoch + 1)
        self._announced = epoch

    def state_dict(self) -> dict[str, Any]:
        """Return the position in plain values, equal on every process."""
        return {
            "epoch": self.epoch,
            "position": self.position,
            "announced": self._announced,
            "batches": len(self),
            "layout": dict(self.layout),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue with the batch after ``state``.

        Raises:
            ValueError: a state in mid-epoch of another batch size, seed or number of rows or processes.
        """
        changed = [name for name, value in self.layout.items() if state["layout"].get(name) != value]
        finished = state["position"] >= state["batches"]
        if changed and state["position"] > 0 and not finished:
            was = ", ".join(f"{name}={state['layout'].get(name)}" for name in changed)
            raise ValueError(f"the checkpoint was written in mid-epoch with {was}; resume with the same values")
        self._start(state["epoch"])
        self._announced = state["announced"]
        self.position = len(self) if finished else state["position"]

    def _start(self, epoch: int) -> None:
        self.epoch, self.position, self._started = epoch, 0, False

    def _batches(self) -> Iterator[Batch]:
        # Epoch and position are read at the first batch: Lightning asks for the iterator before it sets the epoch.
        epoch, first, self._started = self.epoch, self.position, True
        for step, indices in enumerate(self._indices()[first:], start=first):
            batch = {name: tensor.index_select(0, indices) for name, tensor in self.tensors.items()}
            self.position = step + 1
            yield self.transform(batch, (self.seed, epoch, step, self.rank))

    def _indices(self) -> tuple[Tensor, ...]:
        n, batch_size, world_size = (self.layout[name] for name in ("rows", "batch_size", "world_size"))
        if self.shuffle:
            order = permutation(n, (SHUFFLE, self.seed, self.epoch))
            return training_indices(order, batch_size, self.rank, world_size)
        return evaluation_indices(torch.arange(n), batch_size, self.rank, world_size)
