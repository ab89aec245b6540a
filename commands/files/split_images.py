"""Images of a split of a data module, in their order and some at a time: memory does not grow with the split.

A training split is in the order of the data set, without augmentation as far as it is known: ours know flips, and what
a user's own ``Dataset`` does to an image, it does here too.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any, TypeGuard

import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, Subset

from ...data.base import InMemoryData
from ...interfaces import Batch
from ...models.inputs import transferred

ROWS, PIXELS = 500, 1 << 22  # most images and pixels that are read at a time
LOADERS = {"train": "train_dataloader", "valid": "val_dataloader", "test": "test_dataloader"}


def rows_at_once(image_shape: Iterable[int]) -> int:
    """Return the number of images ``c h w`` that are read at a time."""
    return max(1, min(ROWS, PIXELS // math.prod(image_shape)))


def spread(total: int, n: int) -> Tensor:
    """Return the numbers of ``n`` of ``total`` rows that are spread evenly, int64; all if there are fewer."""
    return torch.linspace(0, total - 1, min(n, total), dtype=torch.float64).long()


class SplitImages:
    """Images of a split, and their labels if they have classes.

    Args:
        data: data module that is set up.
        split: train, valid or test.

    Attributes:
        shape: of an image, ``c h w``.
        has_labels: True if the images have classes.

    Raises:
        ValueError: data without images, or a training split whose order is not that of a data set.
    """

    def __init__(self, data: LightningDataModule, split: str) -> None:
        self.data, self._split = data, split
        self._loader = None if isinstance(data, InMemoryData) else _ordered(data, split)
        first = next(self.batches(torch.zeros(1, dtype=torch.int64), 1), None)
        if first is None or "image" not in first:
            raise ValueError(f"the data {getattr(data, 'name', type(data).__name__)} have no images of '{split}'")
        self.shape, self.has_labels = tuple(first["image"].shape[1:]), "label" in first
        if isinstance(data, InMemoryData):
            self._length = len(getattr(data.splits, split))
        elif _is_counted(self._loader):
            self._length = len(self._loader.dataset)  # type: ignore[arg-type]
        else:
            self._length = sum(len(batch["image"]) for batch in self._given())

    def __len__(self) -> int:
        return self._length

    def batches(self, chosen: Tensor, rows: int | None = None) -> Iterator[Batch]:
        """Yield images and labels of rows ``chosen``, which ascend, some at a time: ``rows``, or what suits memory."""
        rows = rows or rows_at_once(self.shape)
        if isinstance(self.data, InMemoryData):
            for index in chosen.split(rows):
                yield self.data.rows(self._split, index)
        elif _is_counted(self._loader):
            loader = self._loader
            options = {"num_workers": loader.num_workers, "collate_fn": loader.collate_fn}
            for some in chosen.split(rows * 200):
                part = Subset(loader.dataset, some.tolist())
                for batch in DataLoader(part, rows, **options):  # type: ignore[arg-type]
                    yield transferred(self.data, batch)
        else:
            yield from _regrouped(_picked(self._given(), chosen), rows)

    def _given(self) -> Iterator[Batch]:
        """Batches as a loader of any kind gives them."""
        assert self._loader is not None
        return (transferred(self.data, batch) for batch in self._loader)


def _ordered(data: LightningDataModule, split: str) -> Iterable[object]:
    """The loader of a split, whose images have an order."""
    loader = getattr(data, LOADERS[split])()
    loader = loader[0] if isinstance(loader, (list, tuple)) and loader else loader
    if split == "train" and not _is_counted(loader):
        raise ValueError(
            f"{type(data).__name__}.train_dataloader has no order that can be repeated: return a torch DataLoader of a "
            "Dataset with a length"
        )
    return loader


def _is_counted(loader: Any) -> TypeGuard[DataLoader]:
    """True for a loader of a data set whose items are read by their number."""
    return (
        isinstance(loader, DataLoader)
        and not isinstance(loader.dataset, IterableDataset)
        and hasattr(loader.dataset, "__len__")
    )


def _picked(batches: Iterable[Batch], chosen: Tensor) -> Iterator[Batch]:
    """Rows ``chosen`` of batches that are read one after the other."""
    first, last = 0, int(chosen[-1]) if len(chosen) else -1
    for batch in batches:
        if first > last:
            return
        size = len(batch["image"]) if "image" in batch else 1
        inside = chosen[(chosen >= first) & (chosen < first + size)] - first
        if len(inside):
            yield {name: value[inside] for name, value in batch.items()}
        first += size


def _regrouped(batches: Iterable[Batch], rows: int) -> Iterator[Batch]:
    """The same rows, so many at a time."""
    kept: Batch = {}
    for batch in batches:
        kept = {name: torch.cat([kept[name], value]) if kept else value for name, value in batch.items()}
        size = len(next(iter(kept.values())))
        while size >= rows:
            yield {name: value[:rows] for name, value in kept.items()}
            kept, size = {name: value[rows:] for name, value in kept.items()}, size - rows
    if kept and len(next(iter(kept.values()))):
        yield kept
