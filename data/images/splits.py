"""The form that every image data set is read into, and the registry of their readers.

A new data set is one file with one function, decorated with ``image_set``, that returns ``Splits``; and its import in
``datamodule.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from ...registry import Registry
from ..keyed_random import SPLIT, permutation
from ..loader import Rows
from .binarization import unchanged


@dataclass(frozen=True)
class Split:
    """Images and their classes.

    Attributes:
        images: uint8 levels ``n c h w`` (255 is full ink or light).
        labels: int64 ``b``; empty if the images have no classes.
        rows: int64 ``b``, those of ``images`` that belong to the split; None for all. They are not copied, so that
            images may be mapped from a file that several splits share.
    """

    images: Tensor
    labels: Tensor
    rows: Tensor | None = None

    @classmethod
    def from_numpy(cls, images: np.ndarray, labels: np.ndarray) -> Split:
        """Copy integer arrays ``b c h w`` and ``b``."""
        return cls(torch.tensor(images, dtype=torch.uint8), torch.tensor(labels, dtype=torch.int64))

    def select(self, rows: slice | Tensor) -> Split:
        """Return the split of these rows only."""
        return Split(self.images[rows], self.labels[rows])

    def tensors(self) -> dict[str, Tensor | Rows]:
        """Return all rows by batch key."""
        images = self.images if self.rows is None else Rows(self.images, self.rows)
        return {"image": images, "label": self.labels} if len(self.labels) else {"image": images}

    def own_images(self) -> Tensor:
        """Return the images of the split, a copy if it has ``rows``."""
        return self.images if self.rows is None else self.images[self.rows]

    def __len__(self) -> int:
        return len(self.images if self.rows is None else self.rows)


@dataclass(frozen=True)
class Splits:
    """A data set as it was read.

    Attributes:
        train, valid, test: images and labels.
        source: files they come from.
        binarized: how the files were binarized; None for grey and colour images.
        details: metadata that only this data set has.
        class_names: name of each class, in their order; empty where they have none.
    """

    train: Split
    valid: Split
    test: Split
    source: str
    binarized: str | None = None
    details: Mapping[str, str] = field(default_factory=dict)
    class_names: tuple[str, ...] = ()


Shape = tuple[int, int, int]
Reader = Callable[..., Splits]


@dataclass(frozen=True)
class ImageSet:
    """Reader of a data set.

    Attributes:
        shape: shape of an image, ``(c, h, w)``, known without reading; a function of the options; or None, if it is
            known by reading only.
        read: ``read(folders, published, **options)`` reads the images and downloads missing files; ``published`` asks
            for the published binary version where there is one.
        options: arguments of ``ImageData`` that it takes.
        binarization: default rule.
    """

    shape: Shape | Callable[..., Shape] | None
    read: Reader
    options: tuple[str, ...] = ()
    binarization: str = "static"


IMAGE_SETS: Registry[ImageSet] = Registry("data set", context=("folders", "published"))


def image_set(
    name: str, shape: Shape | Callable[..., Shape] | None, *options: str, binarization: str = "static"
) -> Callable[[Reader], Reader]:
    """Decorator that registers a reader of images under ``name``; the arguments are those of ``ImageSet``."""

    def add(read: Reader) -> Reader:
        IMAGE_SETS.register(name)(ImageSet(shape, read, options, binarization))
        return read

    return add


def hold_out(split: Split, n: int) -> tuple[Split, Split]:
    """Split off ``n`` rows, the same ones every time: the remaining rows and those held out."""
    order = permutation(len(split), (SPLIT, len(split)))
    return split.select(order[n:]), split.select(order[:n])


def draw_once(split: Split, draw: Callable[[Tensor, int], Tensor], number: int) -> Split:
    """Draw the pixels of a split with its number; images that stay as they are, are not read."""
    return split if draw is unchanged else Split(draw(split.own_images(), number), split.labels)
