"""What ``sample``, ``reconstruct``, ``test`` and ``export`` work on: a released name, a folder, a hub id, a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from lightning.pytorch import LightningDataModule

from .. import data
from ..models import MODELS
from ..models.pretrained import find_release, load, read_config
from ..registry import unknown_arguments, unknown_name
from . import runs


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
    path = Path(name)
    if path.suffix == ".ckpt":
        run = runs.run_of(path)
        if run is None and path.is_file():
            raise ValueError(f"{path} does not lie in a run folder: {runs.CONFIG} is missing two folders above")
        return _open_run(run or path.parent, path)
    if runs.is_run(path):
        best, last = (runs.checkpoint_path(path, kind) for kind in ("best", "last"))
        return _open_run(path, best if best.is_file() else last)
    folder = find_release(name)
    return Source(load(folder), read_config(folder).data)


def _open_run(run: Path, checkpoint: Path) -> Source:
    content = runs.read_checkpoint(checkpoint)
    config = yaml.safe_load((run / runs.CONFIG).read_text(encoding="utf-8"))
    model_class, _ = _class_of(config["model"])
    by_class = {MODELS[name].__name__: MODELS[name] for name in MODELS.names()}
    if model_class not in by_class:
        raise ValueError(unknown_name("model class", model_class, by_class))
    model = by_class[model_class](**content.get("hyper_parameters", {}))
    model.load_state_dict(content["state_dict"])
    data_class, arguments = _class_of(config["data"])
    # where the data lies on this machine is no part of what the model was trained on
    arguments = {key: value for key, value in arguments.items() if key != "root"}
    return Source(model.eval(), {"class": data_class, "arguments": arguments}, run, checkpoint)


def _class_of(entry: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return entry["class_path"].rpartition(".")[2], entry.get("init_args", {})


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
