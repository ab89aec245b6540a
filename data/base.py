"""Base class of data modules: splits in memory, their loaders and metadata; and the registry of data modules."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, TypeVar

from lightning.pytorch import LightningDataModule
from torch import Tensor

from ..interfaces import Batch
from ..ranges import check_sizes
from ..registry import Registry
from .keyed_random import Key
from .licences import licence_of
from .loader import Selectable, TensorLoader, Transform
from .own import name_batches

D = TypeVar("D", bound="type[LightningDataModule]")


class InMemoryData(LightningDataModule):
    """Data module whose splits are tensors in memory; a subclass defines ``splits``.

    Batches are pure functions of the arguments, the epoch and the step. A run resumes within an epoch.

    Args:
        name: data set.
        batch_size: rows of a training batch, per process; the remainder of an epoch is dropped.
        eval_batch_size: most rows of a validation or test batch, per process.
        root: folder of the data sets; default ``$GUMBELZOO_DATA``, else the user's cache folder.
        seed: seed of the order of training rows and of random transforms.

    Raises:
        ValueError: a batch size < 1 or a seed < 0.
    """

    registry_name: ClassVar[str] = ""  # set by ``register_data``

    def __init__(self, name: str, batch_size: int, eval_batch_size: int, root: str | None, seed: int) -> None:
        super().__init__()
        check_sizes(batch_size=batch_size, eval_batch_size=eval_batch_size)
        check_sizes(0, seed=seed)
        self.name: str = name
        self.batch_size = batch_size
        self.eval_batch_size = eval_batch_size
        self.root = root
        self.seed = seed

    # -- defined by subclasses ----------------------------------------------------------------------------------------

    @cached_property
    def splits(self) -> Any:
        """The data set, read or downloaded at first use.

        It has ``train``, ``valid`` and ``test``, each with a length and ``tensors()`` (rows by batch key), and a text
        ``source``.
        """
        raise NotImplementedError

    def train_transform(self, batch: Batch, key: Key) -> Batch:
        """Finish a training batch; all randomness comes from ``key``."""
        return batch

    def eval_transform(self, batch: Batch, key: Key) -> Batch:
        """Finish a validation or test batch."""
        return batch

    def plain_transform(self, batch: Batch, key: Key) -> Batch:
        """Finish a training batch without augmentation."""
        return self.train_transform(batch, key)

    def details(self) -> dict[str, str]:
        """Return the metadata that only this kind of data has."""
        return {}

    # -- shared -------------------------------------------------------------------------------------------------------

    def metadata(self) -> dict[str, str]:
        """Return the facts printed with every result: data set, source, split sizes, details, licence."""
        splits = self.splits
        return {
            "data set": self.name,
            "source": splits.source,
            "split": f"{len(splits.train):,} training, {len(splits.valid):,} validation, {len(splits.test):,} test",
            **self.details(),
            "licence": licence_of(self.name),
        }

    def prepare_data(self) -> None:
        """Download missing files, in one process per machine."""
        self.splits  # noqa: B018

    def setup(self, stage: str | None = None) -> None:
        """Read the data set, once for all stages."""
        self.splits  # noqa: B018

    def train_dataloader(self) -> TensorLoader:
        """Return shuffled training batches; in the stored order if the trainer overfits a few of them."""
        shuffle = not getattr(self.trainer, "overfit_batches", 0)
        return self._loader(self.splits.train.tensors(), self.batch_size, self.train_transform, shuffle)

    def val_dataloader(self) -> TensorLoader:
        """Return batches of every validation row once, in order."""
        return self._loader(self.splits.valid.tensors(), self.eval_batch_size, self.eval_transform)

    def test_dataloader(self) -> TensorLoader:
        """Return batches of every test row once, in order."""
        return self._loader(self.splits.test.tensors(), self.eval_batch_size, self.eval_transform)

    def rows(self, split: str, index: Tensor) -> Batch:
        """Return rows of ``train``, ``valid`` or ``test``, int64 ``b``, as a batch without augmentation."""
        tensors = getattr(self.splits, split).tensors()
        batch = {name: tensor.index_select(0, index) for name, tensor in tensors.items()}
        finish = self.plain_transform if split == "train" else self.eval_transform
        return finish(batch, (self.seed, 0, int(index[0]), 0))

    def _loader(
        self, tensors: Mapping[str, Selectable], batch_size: int, transform: Transform, shuffle: bool = False
    ) -> TensorLoader:
        rank, world_size = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        return TensorLoader(
            tensors, batch_size, transform, shuffle=shuffle, seed=self.seed, rank=rank, world_size=world_size
        )


DATA: Registry[type[LightningDataModule]] = Registry("data module", base=LightningDataModule)


def register_data(name: str, keys: Sequence[str] = ()) -> Callable[[D], D]:
    """Class decorator that registers a data module under ``name`` and sets its ``registry_name``.

    Args:
        name: in the registry.
        keys: of the values of a batch, where these are tuples, such as ``("image", "label")``.
    """

    def add(data: D) -> D:
        data.registry_name = name  # type: ignore[attr-defined]
        if keys:
            name_batches(data, keys)
        DATA.register(name)(data)
        return data

    return add
