"""Images in memory, as one LightningDataModule for every data set and every binarization."""

from __future__ import annotations

from functools import cached_property

from lightning.pytorch import LightningDataModule
from torch import Tensor

from ..licences import licence_of
from ..loader import Prepare, TensorLoader
from ..storage import Folders
from . import cifar10, digits, mnist, omniglot  # noqa: F401  (importing a reader registers its data set)
from .binarization import BINARIZATIONS, to_float
from .splits import IMAGE_SETS, Split, Splits


class ImageData(LightningDataModule):
    """Batches of ``{"image": float32 b c h w in [0, 1], "label": int64 b}``.

    Args:
        name: digits (needs no download), mnist, fashion_mnist, omniglot or cifar10.
        binarization: static (one draw for ever: the literature's file for MNIST, if it is there), dynamic (a fresh draw
            in every training batch, the static one for validation and test), threshold, or none. Colour needs none.
        batch_size: Images in a training batch, per process; the remainder of an epoch is dropped.
        eval_batch_size: Images in a validation or test batch, per process, at most.
        root: Folder of the data sets; else GUMBELZOO_DATA, else the user's cache folder. What is missing is downloaded.
        seed: Of the order of the training images and of the dynamic draws.

    Raises:
        ValueError: unknown name, binarization of colour images, a corrupt file, a batch size that does not fit.
        FileNotFoundError: a file is missing and could not be downloaded.
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
        super().__init__()
        self.name: str = name
        self.binarization = binarization
        self.batch_size = batch_size
        self.eval_batch_size = eval_batch_size
        self.root = root
        self.seed = seed
        self._set = IMAGE_SETS[name]
        self._rule = BINARIZATIONS[binarization]
        if self.shape[0] > 1 and not self._rule.colour:
            raise ValueError(
                f"{name} is in colour and cannot be binarized; use binarization='none', not '{binarization}'"
            )

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of an image, ``(c, h, w)``, known without reading."""
        return self._set.shape

    @cached_property
    def splits(self) -> Splits:
        """The images as they are stored, after the draws that are made once. Read, and downloaded, at the first use."""
        read = self._set.read(Folders(self.root), self._rule.published)
        parts = zip(
            ("train", "valid", "test"), (self._rule.train, self._rule.evaluation, self._rule.evaluation), strict=True
        )
        fixed = {}
        for number, (split, rule) in enumerate(parts):
            rows: Split = getattr(read, split)
            fixed[split] = Split(rule(rows.images, number), rows.labels)
        return Splits(**fixed, source=read.source, binarized=read.binarized)

    @cached_property
    def mean(self) -> Tensor:
        """Mean of the training images as the model sees them: float32 ``c h w``."""
        images = self.splits.train.images
        return images.sum(0).float() / (255 * len(images))

    @cached_property
    def variance(self) -> float:
        """Variance of all training pixels, of all channels, around their one mean, as the model sees them."""
        images = self.splits.train.images
        total = squares = 0.0
        for batch in TensorLoader({"image": images}, 1000, self._rule.batch, seed=self.seed):
            pixels = batch["image"].double()
            total += float(pixels.sum())
            squares += float(pixels.square().sum())
        return squares / images.numel() - (total / images.numel()) ** 2

    def facts(self) -> dict[str, str]:
        """What is printed beside every result."""
        splits = self.splits
        sizes = f"{len(splits.train):,} training, {len(splits.valid):,} validation, {len(splits.test):,} test"
        how = splits.binarized or self._rule.fact
        return {
            "data set": self.name,
            "binarization": f"{self.binarization}: {how}",
            "source": splits.source,
            "split": sizes,
            "licence": licence_of(self.name),
        }

    def prepare_data(self) -> None:
        """Download what is missing, in one process per machine."""
        self.splits  # noqa: B018

    def setup(self, stage: str | None = None) -> None:
        """Read the images; nothing happens the second time."""
        self.splits  # noqa: B018

    def train_dataloader(self) -> TensorLoader:
        """Shuffled batches, except where the trainer overfits a few of them."""
        shuffle = not getattr(self.trainer, "overfit_batches", 0)
        return self._loader(self.splits.train, self.batch_size, self._rule.batch, shuffle)

    def val_dataloader(self) -> TensorLoader:
        """Every validation image once."""
        return self._loader(self.splits.valid, self.eval_batch_size, to_float)

    def test_dataloader(self) -> TensorLoader:
        """Every test image once."""
        return self._loader(self.splits.test, self.eval_batch_size, to_float)

    def _loader(self, split: Split, batch_size: int, prepare: Prepare, shuffle: bool = False) -> TensorLoader:
        rank, world_size = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        tensors = {"image": split.images, "label": split.labels}
        return TensorLoader(
            tensors, batch_size, prepare, shuffle=shuffle, seed=self.seed, rank=rank, world_size=world_size
        )
