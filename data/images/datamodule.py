"""Data module of images: every data set with every binarization."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from ...interfaces import Batch
from ..base import InMemoryData, register_data
from ..keyed_random import Key
from ..loader import TensorLoader, Transform
from ..storage import Folders
from . import arrays, cifar10, datasets, digits, folder, mnist, omniglot, torchvision_sets  # noqa: F401  (registers)
from .binarization import BINARIZATIONS, to_float
from .flips import flip_half
from .splits import IMAGE_SETS, Splits, draw_once

BLOCK_ROWS, BLOCK_PIXELS = 1000, 1 << 22  # most that are added up at once


@register_data("images")
class ImageData(InMemoryData):
    """Images in batches of ``{"image": float32 b c h w in [0, 1], "label": int64 b}``.

    Args:
        name: folder (pictures of yours), arrays (of yours), digits (no download), mnist, fashion_mnist, kmnist, qmnist,
            emnist (its balanced split), usps, omniglot, cifar10, cifar100 or svhn.
        binarization: static (one fixed draw; for MNIST the published file, if present), dynamic (a fresh draw for
            every training batch, the static draw for validation and test), threshold, or none (the only one for colour
            images). Default: none for name=folder, name=arrays and for colour, else static.
        path: folder of the pictures, for name=folder: any tree of files that Pillow reads, of any sizes. Classes are
            the names of its sub-folders, or those in its labels.csv (columns file,label); without either, batches have
            no label. Sub-folders train, valid and test are the splits; otherwise a tenth each is held out. The pictures
            are decoded once, into a file in the user's cache folder. For name=arrays an .npz file with x_train and
            maybe y_train, x_valid, y_valid, x_test, y_test; a folder of .npy files of these names; or one .npy file.
        size: side of the images, for name=folder. The shorter side of a picture is resized to it, and the centre is
            kept. Default 64.
        channels: 3 for colour or 1 for grey, for name=folder. Default 3.
        flip: mirror each training image left to right with probability 1/2.
        batch_size: images in a training batch, per process; the remainder of an epoch is dropped.
        eval_batch_size: most images in a validation or test batch, per process.
        root: folder of the data sets; default GUMBELZOO_DATA, else the user's cache folder. Missing files are
            downloaded. For name=folder the default of path.
        seed: seed of the order of training images, of dynamic draws and of flips.

    Raises:
        ValueError: unknown name, an argument that the data set does not take, binarization of colour images, a corrupt
            file, a batch size that does not fit.
        FileNotFoundError: a file is missing and could not be downloaded, or there is no such folder.

    Example:
        >>> data = ImageData("digits", binarization="dynamic", batch_size=50)
        >>> batch = next(iter(data.train_dataloader()))
        >>> batch["image"].shape, batch["label"].shape
        (torch.Size([50, 1, 8, 8]), torch.Size([50]))
    """

    def __init__(
        self,
        name: str = "digits",
        binarization: str | None = None,
        path: str | None = None,
        size: int | None = None,
        channels: int | None = None,
        flip: bool = False,
        batch_size: int = 100,
        eval_batch_size: int = 500,
        root: str | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(name, batch_size, eval_batch_size, root, seed)
        self._set = IMAGE_SETS[name]
        optional = {"path": path, "size": size, "channels": channels}
        self._options = {key: value for key, value in optional.items() if value is not None}
        if unknown := [key for key in self._options if key not in self._set.options]:
            raise ValueError(f"the data set '{name}' takes no {unknown[0]}; leave it out, or use name='folder'")
        shape = self._set.shape
        self._shape = shape(**self._options) if callable(shape) else shape
        self.binarization: str = binarization or self._set.binarization
        self._rule = BINARIZATIONS[self.binarization]
        self.flip = flip
        if self._shape is not None:
            self._check_colour(self._shape[0])

    def _check_colour(self, channels: int) -> None:
        if channels > 1 and not self._rule.colour:
            raise ValueError(
                f"{self.name} is in colour and cannot be binarized; use binarization='none', not '{self.binarization}'"
            )

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of an image, ``(c, h, w)``, known without reading, except for arrays."""
        if self._shape is None:
            c, h, w = self.splits.train.images.shape[1:]
            self._shape = c, h, w
        return self._shape

    @property
    def stored(self) -> Splits:
        """Images before any draw, uint8 levels. They are read each time, or downloaded; those in memory are there."""
        return self._set.read(Folders(self.root), self._rule.published, **self._options)

    @cached_property
    def splits(self) -> Splits:
        """Images after the draws that are made once, uint8 levels. Read or downloaded at first use."""
        read, rule = self.stored, self._rule
        self._check_colour(read.train.images.shape[1])
        return replace(
            read,
            train=draw_once(read.train, rule.train, 0),
            valid=draw_once(read.valid, rule.evaluation, 1),
            test=draw_once(read.test, rule.evaluation, 2),
        )

    # -- a user's own -------------------------------------------------------------------------------------------------

    @classmethod
    def from_arrays(
        cls,
        x_train: Any,
        y_train: Any = None,
        x_valid: Any = None,
        y_valid: Any = None,
        x_test: Any = None,
        y_test: Any = None,
        **options: Any,
    ) -> ImageData:
        """Return the data module of arrays or tensors in memory; rules and errors are those of ``arrays.arrays``.

        Args:
            x_train, x_valid, x_test: images ``n h w``, ``n c h w`` or ``n h w c``; without validation or test images a
                tenth of the training images is drawn for each.
            y_train, y_valid, y_test: labels ``n``, whole numbers from 0.
            options: of ``ImageData``: ``binarization``, ``flip``, ``batch_size``, ``eval_batch_size``, ``seed``.

        Example:
            >>> data = ImageData.from_arrays(torch.rand(500, 28, 28), batch_size=50)
            >>> next(iter(data.train_dataloader()))["image"].shape
            torch.Size([50, 1, 28, 28])
        """
        data = cls("arrays", **options)
        data._set = arrays.in_memory(
            {"x_train": x_train, "y_train": y_train, "x_valid": x_valid, "y_valid": y_valid}
            | {"x_test": x_test, "y_test": y_test}
        )
        return data

    @property
    def in_memory(self) -> bool:
        """True for arrays that have no file."""
        return self.name == "arrays" and "path" not in self._options

    def use_arrays_of(self, other: ImageData) -> None:
        """Take the arrays in memory of another data module."""
        self._set = other._set

    def arguments(self) -> dict[str, Any]:
        """Return the constructor arguments as plain values, without those that are None."""
        names = ("name", "binarization", "flip", "batch_size", "eval_batch_size", "root", "seed")
        given = {name: getattr(self, name) for name in names} | self._options
        return {name: value for name, value in given.items() if value is not None}

    @classmethod
    def from_dataset(
        cls,
        train: Any,
        valid: Any = None,
        test: Any = None,
        image: str | int | None = None,
        label: str | int | bool | None = None,
        **options: Any,
    ) -> ImageData:
        """Return the data module of a data set of torch, torchvision or Hugging Face, read once into memory.

        Args:
            train, valid, test: ``Dataset``, ``DataLoader`` or any iterable of ``(image, label)``, of dictionaries, or
                of images alone; or the first a mapping of ``train``, ``validation`` and ``test``.
            image: key or index of the images in an item; default: ``image`` or ``img``, or the first.
            label: of the labels; default: ``label`` or ``labels``, or the second, if there is one. False leaves them
                out.
            options: of ``from_arrays``.

        Raises:
            ValueError: images of several sizes, labels that are no whole numbers, or what ``from_arrays`` refuses.
        """
        return cls.from_arrays(**datasets.read_datasets(train, valid, test, image, label), **options)

    # -- statistics ---------------------------------------------------------------------------------------------------

    @cached_property
    def mean(self) -> Tensor:
        """Mean training image as the model sees it, float32 ``c h w``."""
        total = torch.zeros(self.shape, dtype=torch.int64)
        for block in self._blocks():
            total += block["image"].sum(0)
        mean = total.float() / (255 * len(self.splits.train))
        return (mean + mean.flip(-1)) / 2 if self.flip else mean

    @cached_property
    def variance(self) -> float:
        """Variance of all training pixels, over all channels, around their one mean, as the model sees them."""
        number = len(self.splits.train) * math.prod(self.shape)
        total = squares = 0.0
        for block in self._blocks(self.train_transform):
            pixels = block["image"].double()
            total += float(pixels.sum())
            squares += float(pixels.square().sum())
        return squares / number - (total / number) ** 2

    def _blocks(self, transform: Transform = lambda batch, key: batch) -> TensorLoader:
        """Return all training images in parts: they may be larger than memory."""
        rows = max(1, min(BLOCK_ROWS, BLOCK_PIXELS // math.prod(self.shape)))
        return TensorLoader({"image": self.splits.train.tensors()["image"]}, rows, transform, seed=self.seed)

    @cached_property
    def classes(self) -> int:
        """Number of classes, one more than the largest label of all splits; 0 for images without labels."""
        splits = self.splits
        labels = torch.cat([split.labels for split in (splits.train, splits.valid, splits.test)])
        return 1 + int(labels.max()) if len(labels) else 0

    @property
    def class_names(self) -> tuple[str, ...]:
        """Name of each class, in their order; empty where they have none."""
        return self.splits.class_names

    def train_transform(self, batch: Batch, key: Key) -> Batch:
        """Flip, then scale or binarize a batch of uint8 levels, as float32."""
        if self.flip:
            batch = batch | {"image": flip_half(batch["image"], key)}
        return self.plain_transform(batch, key)

    def plain_transform(self, batch: Batch, key: Key) -> Batch:
        """Scale or binarize a batch of uint8 training levels, as float32."""
        return self._rule.transform(batch, key)

    def eval_transform(self, batch: Batch, key: Key) -> Batch:
        """Scale a batch of uint8 levels to float32 in [0, 1]; binarized ones become exactly 0 and 1."""
        return to_float(batch, key)

    def details(self) -> dict[str, str]:
        """Return binarization, flips, and what only this data set has."""
        rule = f"{self.binarization}: {self.splits.binarized or self._rule.description}"
        flips = {"flips": "each training image is mirrored with probability 1/2"} if self.flip else {}
        return {"binarization": rule, **self.splits.details, **flips}
