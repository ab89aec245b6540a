"""What the commands beside ``fit`` work on: a released name, a folder, a hub id, a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_type_hints

import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor

from .. import data
from ..pretrained.api import find_release, load
from ..pretrained.config import read_config
from ..pretrained.run import config_of, entry_of, find_checkpoint, load_checkpoint, run_of
from ..registry import unknown_arguments, unknown_name


@dataclass(frozen=True)
class Source:
    """A trained model in eval mode, the data it belongs to, and where both come from.

    Attributes:
        model: a ``ZooModel`` in eval mode, on the CPU; what it can do is its own affair.
        data: ``{"class": name, "arguments": {...}}``, or empty when unknown.
        run: the run folder, for a run.
        checkpoint: the file the weights were read from, for a run.
        seed: of the run, or of the test behind a release's figures.
    """

    model: Any
    data: dict[str, Any]
    run: Path | None = None
    checkpoint: Path | None = None
    seed: int = 0


VERBS = ("sample", "reconstruct", "encode", "decode", "interpolate")


def open_source(name: str) -> Source:
    """Load a released name, release folder, hub id, run folder or ``.ckpt`` file of a run.

    Raises:
        ValueError: nothing of that name, or a damaged file.
        FileNotFoundError: a run without a checkpoint.
    """
    checkpoint = find_checkpoint(name)
    if checkpoint is None:
        folder = find_release(name)
        config = read_config(folder)
        return Source(load(folder), config.data, seed=config.test.get("seed", 0))
    model, run = load_checkpoint(checkpoint), run_of(checkpoint)
    assert run is not None
    entry = entry_of(run, "data")
    described = {"class": entry["class_path"].rpartition(".")[2], "arguments": dict(entry.get("init_args") or {})}
    seed = config_of(run).get("seed_everything", 0)
    return Source(model, described, run, checkpoint, seed if type(seed) is int else 0)


def plain_options(model: Any) -> list[tuple[str, type, Any]]:
    """Name, type and value of a model's arguments that are numbers, texts or switches, whatever their values say."""
    hints = get_type_hints(type(model).__init__)
    plain = (bool, int, float, str)
    return [(name, hints[name], model.hparams[name]) for name in model.hparams if hints.get(name) in plain]


def with_options(model: Any, options: Mapping[str, Any]) -> Any:
    """The model, or one of its weights with other arguments."""
    if all(model.hparams[name] == value for name, value in options.items()):
        return model
    other = type(model)(**{**model.hparams, **options})
    other.load_state_dict(model.state_dict())
    return other.eval()


def require(model: Any, verb: str) -> None:
    """ValueError naming what the model can do, if it is not the verb of this command."""
    if not hasattr(model, verb):
        able = ", ".join(["test", *(known for known in VERBS if hasattr(model, known))])
        raise ValueError(f"a {model.registry_name} model cannot {verb}; it can: {able}")


def data_class(description: dict[str, Any]) -> type[LightningDataModule]:
    """The class of ``gumbelzoo.data`` that a source names.

    Raises:
        ValueError: no data is named, or an unknown class or argument is.
    """
    if not description:
        raise ValueError("this release does not say which data it belongs to")
    name = str(description.get("class"))
    if name not in data.__all__:
        raise ValueError(unknown_name("data class", name, data.__all__))
    unknown_arguments(name, getattr(data, name), description.get("arguments", {}))
    return getattr(data, name)


def build_data(description: dict[str, Any], **overrides: Any) -> LightningDataModule:
    """The datamodule that a source names, some arguments overridden; errors are those of ``data_class``."""
    arguments = {**description.get("arguments", {}), **{key: value for key, value in overrides.items() if value}}
    return data_class(description and {**description, "arguments": arguments})(**arguments)


def images_of(source: Source, n: int, root: str | None = None) -> Tensor:
    """Test images, ``n c h w`` or all if there are fewer, spread over the set: some published sets are sorted by class.

    Raises:
        ValueError: the model's data has no images.
    """
    datamodule = build_data(source.data, root=root)
    datamodule.prepare_data()
    datamodule.setup("test")
    batches = list(datamodule.test_dataloader())
    if "image" not in batches[0]:
        raise ValueError(f"a {source.model.registry_name} model has no images")
    images = torch.cat([batch["image"] for batch in batches])
    return images[torch.linspace(0, len(images) - 1, min(n, len(images))).long()]
