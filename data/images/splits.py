"""The form that every image data set is read into, and the registry of their readers.

A new data set is one file with one decorated function that returns ``Splits``, and its import in ``images.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...registry import Registry
from ..keyed_random import SPLIT, permutation
from ..storage import Folders


@dataclass(frozen=True)
class Split:
    """Images, uint8 levels ``b c h w`` (255 is full ink or light), and their classes, int64 ``b``."""

    images: Tensor
    labels: Tensor

    @classmethod
    def of(cls, images: np.ndarray, labels: np.ndarray) -> Split:
        """Copy integer arrays ``b c h w`` and ``b`` into a split."""
        return cls(torch.tensor(images, dtype=torch.uint8), torch.tensor(labels, dtype=torch.int64))

    def rows(self, chosen: slice | Tensor) -> Split:
        """Return the split of only these rows."""
        return Split(self.images[chosen], self.labels[chosen])

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Splits:
    """A data set as it was read; ``source`` says from what, and ``binarized`` how, if the files were binary already."""

    train: Split
    valid: Split
    test: Split
    source: str
    binarized: str | None = None


Reader = Callable[[Folders, bool], Splits]


@dataclass(frozen=True)
class ImageSet:
    """A data set's image shape ``(c, h, w)``, known without reading, and its reader.

    ``read(folders, published)`` downloads what is missing; ``published`` asks for the published binary version, if the
    data set has one and it is there.
    """

    shape: tuple[int, int, int]
    read: Reader


IMAGE_SETS: Registry[ImageSet] = Registry("data set")


def image_set(name: str, shape: tuple[int, int, int]) -> Callable[[Reader], Reader]:
    """Decorator that registers a reader of images of ``shape`` under ``name``."""

    def add(read: Reader) -> Reader:
        IMAGE_SETS.register(name)(ImageSet(shape, read))
        return read

    return add


def held_out(rows: Split, n: int) -> tuple[Split, Split]:
    """Take ``n`` rows out of a split, always the same ones: the rest and the rows taken."""
    order = permutation(len(rows), (SPLIT, len(rows)))
    return rows.rows(order[n:]), rows.rows(order[:n])
