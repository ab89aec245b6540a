"""Data module of cluttered digits: training scenes drawn anew in each epoch, fixed ones for validation and test."""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor

from ...interfaces import Batch
from ...ranges import check_sizes
from ..base import InMemoryData, register_data
from ..images import datamodule  # noqa: F401  (importing registers the sets of images)
from ..images.splits import IMAGE_SETS, Split
from ..keyed_random import CLUTTER_FIXED, CLUTTER_FRESH, Key
from ..storage import Folders
from ..tensor_splits import TensorSplit, TensorSplits
from .scenes import compose, place

MAX_SIDE, MAX_PIECES = 1000, 1000
ROWS = 1000  # scenes composed at a time


@register_data("clutter")
class ClutterData(InMemoryData):
    """Scenes in batches of ``{"image": float32 b 1 H W in [0, 1], "label": int64 b, "centre": float32 b 2}``.

    A digit lies anywhere on a canvas, among pieces of other digits of the same split; the label is its class, and
    ``centre`` the middle of its picture in pixels (row, column). Training scenes are drawn from (seed, epoch, step).
    Those of validation and test are fixed, whatever the seed, and have the ``digit`` alone too, ``b 1 H W``.

    Args:
        name: grey data set that the digits are from: mnist, fashion_mnist, kmnist, digits (no download), ...
        side: of the canvas.
        pieces: number of pieces of clutter in a scene; 0 leaves the digit alone.
        piece: side of each piece.
        batch_size: scenes in a training batch, per process.
        eval_batch_size: most scenes in a validation or test batch, per process.
        root: folder of the data sets; default ``$GUMBELZOO_DATA``, else the user's cache folder.
        seed: seed of training scenes and of their order.

    Raises:
        ValueError: an unknown name, one in colour, or sizes that do not fit into each other.

    Example:
        >>> data = ClutterData("digits", side=20, pieces=2, piece=3, batch_size=50)
        >>> batch = next(iter(data.train_dataloader()))
        >>> batch["image"].shape, batch["centre"].shape
        (torch.Size([50, 1, 20, 20]), torch.Size([50, 2]))
    """

    def __init__(
        self,
        name: str = "mnist",
        side: int = 60,
        pieces: int = 4,
        piece: int = 8,
        batch_size: int = 100,
        eval_batch_size: int = 500,
        root: str | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(name, batch_size, eval_batch_size, root, seed)
        check_sizes(side=side, piece=piece)
        check_sizes(0, pieces=pieces)
        self._set = IMAGE_SETS[name]
        shape = self._set.shape
        if not isinstance(shape, tuple) or shape[0] != 1:
            raise ValueError(f"scenes need grey digits of a known size, and '{name}' has none; use mnist or digits")
        largest = max(shape[1:])
        if not largest <= side <= MAX_SIDE or piece > min(shape[1:]) or pieces > MAX_PIECES:
            raise ValueError(
                f"side must be from {largest} (a digit) to {MAX_SIDE}, piece at most {min(shape[1:])} and pieces at "
                f"most {MAX_PIECES}, got side {side}, piece {piece} and pieces {pieces}"
            )
        self.side, self.pieces, self.piece = side, pieces, piece

    @cached_property
    def splits(self) -> TensorSplits:
        """Digits for training and fixed scenes, read and composed at first use."""
        read = self._set.read(Folders(self.root), False)
        train = TensorSplit({"image": read.train.own_images(), "label": read.train.labels})
        return TensorSplits(train, self._fixed(read.valid, 1), self._fixed(read.test, 2), read.source)

    def _fixed(self, split: Split, number: int) -> TensorSplit:
        digits = split.own_images()
        drawn = [
            self._compose(part, digits, (CLUTTER_FIXED, number, block)) for block, part in enumerate(digits.split(ROWS))
        ]
        images, corners = (torch.cat(parts) for parts in zip(*drawn, strict=True))
        return TensorSplit({"image": images, "label": split.labels, "digit": digits, "corner": corners})

    def _compose(self, digits: Tensor, others: Tensor, key: Key) -> tuple[Tensor, Tensor]:
        return compose(digits, others, key, self.side, self.pieces, self.piece)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of a scene, ``(1, H, W)``, known without reading."""
        return 1, self.side, self.side

    @cached_property
    def classes(self) -> int:
        """Number of classes, one more than the largest label of all splits."""
        splits = self.splits
        return 1 + max(int(split.rows["label"].max()) for split in (splits.train, splits.valid, splits.test))

    def train_transform(self, batch: Batch, key: Key) -> Batch:
        """Compose scenes of a batch of digits."""
        digits = batch["image"]
        images, corner = self._compose(digits, self.splits.train.rows["image"], (CLUTTER_FRESH, *key))
        return {**batch, "image": scaled(images), "centre": centre_of(corner, digits)}

    def eval_transform(self, batch: Batch, key: Key) -> Batch:
        """Scale fixed scenes, and put the digit alone on a canvas of its own."""
        digits, corner = batch["digit"], batch["corner"]
        alone = scaled(place(digits, corner, self.side))
        found = {"image": scaled(batch["image"]), "label": batch["label"], "centre": centre_of(corner, digits)}
        return {**found, "digit": alone}

    def details(self) -> dict[str, str]:
        """Return canvas and clutter."""
        clutter = f"{self.pieces} pieces of {self.piece} x {self.piece} pixels of other digits of the split"
        return {"canvas": f"{self.side} x {self.side}, the digit anywhere on it", "clutter": clutter}


def scaled(levels: Tensor) -> Tensor:
    """Return uint8 levels as float32 in [0, 1]."""
    return levels.float().div_(255)


def centre_of(corner: Tensor, digits: Tensor) -> Tensor:
    """Return the middle of digits ``b 1 h w`` at corners ``b 2``, float32 ``b 2`` pixels from the upper left."""
    return corner + torch.tensor(digits.shape[-2:]) / 2
