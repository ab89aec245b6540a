"""Data module of images: every data set with every binarization."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

from torch import Tensor

from ...interfaces import Batch
from ..base import InMemoryData, register_data
from ..keyed_random import Key
from ..loader import TensorLoader
from ..storage import Folders
from . import cifar10, digits, mnist, omniglot  # noqa: F401  (importing a reader registers its data set)
from .binarization import BINARIZATIONS, to_float
from .splits import IMAGE_SETS, Splits


@register_data("images")
class ImageData(InMemoryData):
    """Images in batches of ``{"image": float32 b c h w in [0, 1], "label": int64 b}``.

    Args:
        name: digits (no download), mnist, fashion_mnist, omniglot or cifar10.
        binarization: static (one fixed draw; for MNIST the published file, if present), dynamic (a fresh draw for
            every training batch, the static draw for validation and test), threshold, or none (the only one for colour
            images).
        batch_size: images in a training batch, per process; the remainder of an epoch is dropped.
        eval_batch_size: most images in a validation or test batch, per process.
        root: folder of the data sets; default GUMBELZOO_DATA, else the user's cache folder. Missing files are
            downloaded.
        seed: seed of the order of training images and of dynamic draws.

    Raises:
        ValueError: unknown name, binarization of colour images, a corrupt file, a batch size that does not fit.
        FileNotFoundError: a file is missing and could not be downloaded.

    Example:
        >>> data = ImageData("digits", binarization="dynamic", batch_size=50)
        >>> batch = next(iter(data.train_dataloader()))
        >>> batch["image"].shape, batch["label"].shape
        (torch.Size([50, 1, 8, 8]), torch.Size([50]))
    """

    def __init__(
        self,
        name: str = "digits",
        binarization: str = "static",
        batch_size: int = 100,
        eval_batch_size: int = 500,
        root: str | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(name, batch_size, eval_batch_size, root, seed)
        self.binarization = binarization
        self._set = IMAGE_SETS[name]
        self._rule = BINARIZATIONS[binarization]
        if self.shape[0] > 1 and not self._rule.colour:
            raise ValueError(
                f"{name} is in colour and cannot be binarized; use binarization='none', not '{binarization}'"
            )

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of an image, ``(c, h, w)``, known without reading."""
        return self._set.shape

    @cached_property
    def splits(self) -> Splits:
        """Stored images: uint8 levels after the draws that are made once. Read or downloaded at first use."""
        read, rule = self._set.read(Folders(self.root), self._rule.published), self._rule
        return replace(
            read,
            train=replace(read.train, images=rule.train(read.train.images, 0)),
            valid=replace(read.valid, images=rule.evaluation(read.valid.images, 1)),
            test=replace(read.test, images=rule.evaluation(read.test.images, 2)),
        )

    @cached_property
    def mean(self) -> Tensor:
        """Mean training image as the model sees it, float32 ``c h w``."""
        images = self.splits.train.images
        return images.sum(0).float() / (255 * len(images))

    @cached_property
    def variance(self) -> float:
        """Variance of all training pixels, over all channels, around their one mean, as the model sees them."""
        images = self.splits.train.images
        total = squares = 0.0
        for batch in TensorLoader({"image": images}, 1000, self.train_transform, seed=self.seed):
            pixels = batch["image"].double()
            total += float(pixels.sum())
            squares += float(pixels.square().sum())
        return squares / images.numel() - (total / images.numel()) ** 2

    @cached_property
    def classes(self) -> int:
        """Number of classes: one more than the largest label of all splits."""
        splits = self.splits
        return 1 + max(int(split.labels.max()) for split in (splits.train, splits.valid, splits.test))

    def train_transform(self, batch: Batch, key: Key) -> Batch:
        """Scale or binarize a batch of uint8 levels, as float32."""
        return self._rule.transform(batch, key)

    def eval_transform(self, batch: Batch, key: Key) -> Batch:
        """Scale a batch of uint8 levels to float32 in [0, 1]; binarized ones become exactly 0 and 1."""
        return to_float(batch, key)

    def details(self) -> dict[str, str]:
        """Return the binarization."""
        return {"binarization": f"{self.binarization}: {self.splits.binarized or self._rule.description}"}
