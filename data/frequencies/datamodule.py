"""Data module of planted frequencies: pictures that are drawn, and the optimum that is known."""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor

from ...interfaces import Batch
from ...ranges import check_sizes
from ..base import InMemoryData, register_data
from ..keyed_random import PLANTED_TEXTURES, Key, uniform
from ..tensor_splits import TensorSplit, TensorSplits
from .textures import CHANNELS, CLASSES, PLANTED, SIDE, Textures, to_coefficients

SIZES = 20_000, 2_000, 5_000  # pictures for training (drawn anew in every epoch), validation and test


@register_data("frequencies")
class FrequencyData(InMemoryData):
    """Textures in batches of ``{"image": float32 b 1 32 32 in [0, 1], "label": int64 b}``; see ``textures.py``.

    Training pictures are drawn anew for every batch. Batches of validation and test also have ``planted``, bool
    ``b 16``: the frequencies of a 4 x 4 block that hold the class.

    Args:
        number: number of the set: which frequencies are planted, and the patterns in them.
        batch_size: pictures in a training batch, per process.
        eval_batch_size: most pictures in a validation or test batch, per process.
        root: unused, since nothing is read.
        seed: seed of the order of training labels and of the pictures of every batch.

    Raises:
        ValueError: a negative number, batch sizes that do not fit.

    Example:
        >>> data = FrequencyData(number=0, batch_size=50)
        >>> next(iter(data.train_dataloader()))["image"].shape
        torch.Size([50, 1, 32, 32])
    """

    def __init__(
        self,
        number: int = 0,
        batch_size: int = 128,
        eval_batch_size: int = 500,
        root: str | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__("frequencies", batch_size, eval_batch_size, root, seed)
        check_sizes(0, number=number)
        self.number = number

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of an image, ``(c, h, w)``."""
        return 1, SIDE, SIDE

    @property
    def classes(self) -> int:
        """Number of classes: labels are in [0, classes)."""
        return CLASSES

    @cached_property
    def textures(self) -> Textures:
        """Planted channels and patterns."""
        return Textures.draw(self.number)

    @cached_property
    def splits(self) -> TensorSplits:
        """Labels of all splits, and the pictures of validation and test, drawn at first use."""
        train, *others = (self._labels(split, n) for split, n in enumerate(SIZES))
        valid, test = (self._drawn(split, labels) for split, labels in enumerate(others, 1))
        return TensorSplits(TensorSplit({"label": train}), valid, test, "drawn")

    def _labels(self, split: int, n: int) -> Tensor:
        return (uniform((n,), (PLANTED_TEXTURES, self.number, split, 0)) * CLASSES).long()

    def _drawn(self, split: int, labels: Tensor) -> TensorSplit:
        images = self.textures.images(labels, (PLANTED_TEXTURES, self.number, split, 1))
        planted = self.textures.planted.expand(len(labels), -1)
        return TensorSplit({"image": images, "label": labels, "planted": planted})

    def train_transform(self, batch: Batch, key: Key) -> Batch:
        """Draw the pictures of the labels."""
        return {**batch, "image": self.textures.images(batch["label"], (PLANTED_TEXTURES, self.number, 3, *key))}

    def details(self) -> dict[str, str]:
        """Return the set, and the accuracy of the best classifier on the test pictures."""
        planted = self.textures.planted.nonzero().squeeze(-1).tolist()
        return {
            "frequencies": f"set {self.number}: {PLANTED} of {CHANNELS} hold the class, {', '.join(map(str, planted))}",
            "best accuracy": f"{self.best_accuracy(torch.ones(CHANNELS, dtype=torch.bool)):.4f} on the test pictures",
        }

    def best_accuracy(self, open_channels: Tensor) -> float:
        """Return the test accuracy of the best classifier that sees some channels, bool ``n``."""
        test = self.splits.test.rows
        found = self.textures.classify(to_coefficients(test["image"]), open_channels)
        return (found == test["label"]).double().mean().item()
