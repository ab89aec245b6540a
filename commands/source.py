"""What ``sample``, ``reconstruct``, ``test`` and ``export`` work on: a released name, a folder, a hub id, a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from lightning.pytorch import LightningDataModule

from .. import data
from ..models.pretrained import find_release, load, read_config
from ..models.run_folder import CONFIG, find_checkpoint, load_checkpoint, run_of
from ..registry import unknown_arguments, unknown_name


@dataclass(frozen=True)
class Source:
    """A trained model in eval mode, the data it belongs to, and where both come from.

    Attributes:
        model: a ``ZooModel`` in eval mode, on the CPU; what it can do is its own affair.
        data: ``{"class": name, "arguments": {...}}``, or empty when unknown.
        run: the run folder, for a run.
        checkpoint: the file the weights were read from, for a run.
    """

    model: Any
    data: dict[str, Any]
    run: Path | None = None
    checkpoint: Path | None = None


def open_source(name: str) -> Source:
    """Load a released name, release folder, hub id, run folder or ``.ckpt`` file of a run.

    Raises:
        ValueError: nothing of that name, or a damaged file.
        FileNotFoundError: a run without a checkpoint.
    """
    checkpoint = find_checkpoint(name)
    if checkpoint is None:
        folder = find_release(name)
        return Source(load(folder), read_config(folder).data)
    model, run = load_checkpoint(checkpoint), run_of(checkpoint)
    assert run is not None
    return Source(model, _data_of(run), run, checkpoint)


def _data_of(run: Path) -> dict[str, Any]:
    entry = yaml.safe_load((run / CONFIG).read_text(encoding="utf-8"))["data"]
    # where the data lies on this machine is no part of what the model was trained on
    arguments = {key: value for key, value in entry.get("init_args", {}).items() if key != "root"}
    return {"class": entry["class_path"].rpartition(".")[2], "arguments": arguments}


def build_data(description: dict[str, Any], **overrides: Any) -> LightningDataModule:
    """The datamodule that a source names; only the classes of ``gumbelzoo.data`` can be built.

    Raises:
        ValueError: no data is named, or an unknown class or argument is.
    """
    if not description:
        raise ValueError("this release does not say which data it belongs to")
    name = str(description.get("class"))
    if name not in data.__all__:
        raise ValueError(unknown_name("data class", name, data.__all__))
    arguments = {**description.get("arguments", {}), **{key: value for key, value in overrides.items() if value}}
    datamodule = getattr(data, name)
    unknown_arguments(name, datamodule, arguments)
    return datamodule(**arguments)
