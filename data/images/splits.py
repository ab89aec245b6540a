"""The form that every image data set is read into, and the registry of their readers.

A new data set is one file with one function, decorated with ``image_set``, that returns ``Splits``; and its import in
``datamodule.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...interfaces import Batch
from ...registry import Registry
from ..keyed_random import SPLIT, permutation
from ..storage import Folders


@dataclass(frozen=True)
class Split:
    """Images, uint8 levels ``b c h w`` (255 is full ink or light), and their classes, int64 ``b``."""

    images: Tensor
    labels: Tensor

    @classmethod
    def from_numpy(cls, images: np.ndarray, labels: np.ndarray) -> Split:
        """Copy integer arrays ``b c h w`` and ``b``."""
        return cls(torch.tensor(images, dtype=torch.uint8), torch.tensor(labels, dtype=torch.int64))

    def select(self, rows: slice | Tensor) -> Split:
        """Return the split of these rows only."""
        return Split(self.images[rows], self.labels[rows])

    def tensors(self) -> Batch:
        """Return all rows by batch key."""
        return {"image": self.images, "label": self.labels}

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Splits:
    """A data set as it was read.

    Attributes:
        train, valid, test: images and labels.
        source: files they come from.
        binarized: how the files were binarized; None for grey and colour images.
    """

    train: Split
    valid: Split
    test: Split
    source: str
    binarized: str | None = None


Reader = Callable[[Folders, bool], Splits]


@dataclass(frozen=True)
class ImageSet:
    """Reader of a data set.

    Attributes:
        shape: shape of an image, ``(c, h, w)``, known without reading.
        read: ``read(folders, published)`` reads the images and downloads missing files; ``published`` asks for the
            published binary version where there is one.
    """

    shape: tuple[int, int, int]
    read: Reader


IMAGE_SETS: Registry[ImageSet] = Registry("data set", context=("folders", "published"))


def image_set(name: str, shape: tuple[int, int, int]) -> Callable[[Reader], Reader]:
    """Decorator that registers a reader of images of ``shape`` under ``name``."""

    def add(read: Reader) -> Reader:
        IMAGE_SETS.register(name)(ImageSet(shape, read))
        return read

    return add


def hold_out(split: Split, n: int) -> tuple[Split, Split]:
    """Split off ``n`` rows, the same ones every time: the remaining rows and those held out."""
    order = permutation(len(split), (SPLIT, len(split)))
    return split.select(order[n:]), split.select(order[:n])
