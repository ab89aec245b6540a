"""Data modules of users: what cannot be trained, validated or tested on is refused before training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from lightning.pytorch import Callback, LightningDataModule, LightningModule, Trainer
from lightning.pytorch.utilities.seed import isolate_rng

from ...data.base import InMemoryData
from ...models import ZooModel
from ...models.inputs import check_batch, check_images, check_labels, check_levels, transferred

LOADERS = {  # what each is for
    "train_dataloader": "nothing could be trained",
    "val_dataloader": "nothing would select best.ckpt; give --trainer.limit_val_batches=0 to train without one",
    "test_dataloader": "`test` and `export` need one; for want of a test set return what val_dataloader does",
}
USED = {  # by Lightning's name of a stage
    "fit": ("train_dataloader", "val_dataloader"),
    "validate": ("val_dataloader",),
    "test": ("test_dataloader",),
}
TEXT = ("vocabulary", "max_length", "score", "test_sequences")  # a data module of text must have them


def check_data_module(data: LightningDataModule, model: ZooModel, limit_val_batches: Any) -> None:
    """Check that a data module has what ``fit``, ``test`` and ``export`` ask of it, before anything is read.

    Raises:
        ValueError: a loader is missing, or an attribute of text; it is named.
    """
    name = type(data).__name__
    for loader, use in LOADERS.items():
        needed = loader != "val_dataloader" or limit_val_batches != 0
        if needed and getattr(type(data), loader) is getattr(LightningDataModule, loader):
            raise ValueError(f"the data module {name} has no {loader}: {use}")
    if model.batch_key == "tokens" and (missing := [attribute for attribute in TEXT if attribute not in dir(data)]):
        raise ValueError(f"the data module {name} has no {missing[0]}, which text needs; see gumbelzoo.interfaces")


def unused_labels(data: Mapping[str, Any], model: ZooModel) -> str:
    """Return what to say of labels that are given for a model without classes; empty if there are none.

    Args:
        data: arguments of the data module.
        model: to be trained on it.
    """
    given = [name for name in ("labels", "labels_path") if data.get(name) is not None]
    if not given or getattr(model, "classes", None) != 0:
        return ""
    return f"--data.{given[0]} is not used: the model has no classes; to depend on them it needs --model.classes"


class FirstBatches(Callback):
    """Checks the first batch for training, validation or test, of data modules that are not ours."""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Check them before the model measures them; random states stay as they are.

        Raises:
            ValueError: several loaders, no batch, one of another form, or images or labels of another shape, type or
                range; the loader is named.
        """
        data = trainer.datamodule  # type: ignore[attr-defined]
        if data is None or isinstance(data, InMemoryData):
            return
        for loader in USED.get(stage, ()):
            if loader == "val_dataloader" and trainer.limit_val_batches == 0:
                continue
            with isolate_rng():
                try:
                    check_first(data, getattr(data, loader)(), pl_module)
                except ValueError as error:
                    raise ValueError(f"{type(data).__name__}.{loader}: {error}") from None


def check_first(data: LightningDataModule, loader: Any, model: Any) -> None:
    """Check the first batch of a loader, or of the only one of a list; errors are those of ``FirstBatches``."""
    if isinstance(loader, (list, tuple, dict)):
        if len(loader) > 1:
            raise ValueError(f"it gives {len(loader)} loaders; give one, such as of a ConcatDataset")
        loader = next(iter(loader.values() if isinstance(loader, dict) else loader), None)
    batch = next(iter(loader), None) if loader is not None else None
    if batch is None:
        raise ValueError("it has no batch; is its batch size larger than the data set?")
    batch = transferred(data, batch)
    if model.batch_key is not None:
        check_batch(batch, model.batch_key)
    if model.batch_key == "image":
        check_levels(batch["image"])
        check_images(batch["image"], getattr(model, "image_shape", batch["image"].shape[1:]))
        if batch["image"].dtype != torch.float32:
            raise ValueError(f"images must be float32, got {batch['image'].dtype}; give images.float()")
    if "label" in batch and getattr(model, "classes", None):
        check_labels(batch["label"], model.classes)
