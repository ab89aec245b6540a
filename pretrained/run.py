"""Run folders, as ``fit`` writes them, read back as models: ``config.yaml`` names the class, a checkpoint fills it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import yaml

from ..models.base import ZooModel
from ..models.registry import MODELS
from ..registry import unknown_arguments, unknown_name
from . import config as release
from .untrusted import first_line

CONFIG = "config.yaml"


def checkpoint_path(run: Path, name: str) -> Path:
    """Where a run keeps ``best.ckpt`` and ``last.ckpt``."""
    return run / "checkpoints" / f"{name}.ckpt"


def run_of(checkpoint: Path) -> Path | None:
    """The run folder a checkpoint lies in, if it does."""
    run = checkpoint.resolve().parent.parent
    return _short(run) if is_run(run) else None


def is_run(folder: Path) -> bool:
    """Whether a folder was written by ``fit``; one that has a release's configuration is a release, whatever else."""
    return (folder / CONFIG).is_file() and not (folder / release.CONFIG).exists()


def find_checkpoint(source: str | Path) -> Path | None:
    """The checkpoint that a run folder (its best, else its last) or a ``.ckpt`` file stands for; None for all else."""
    path = Path(source)
    if path.suffix == ".ckpt":
        return path
    if not is_run(path):
        return None
    best, last = (checkpoint_path(path, kind) for kind in ("best", "last"))
    return best if best.is_file() else last


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a Lightning checkpoint, tensors and plain values only; no code in it runs.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is truncated, or was not written by ``fit``.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no checkpoint '{path}'; --ckpt_path takes best, last or a .ckpt file")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # zip, pickle and torch each complain in their own way
        raise ValueError(f"{path} is truncated or no checkpoint of `fit` ({type(error).__name__})") from None
    if not isinstance(content, dict) or not {"state_dict", "loops", "global_step"} <= content.keys():
        raise ValueError(f"{path} is no checkpoint of `fit`: it lacks weights or the trainer's state")
    return content


def load_checkpoint(path: Path) -> ZooModel:
    """The model of a run's checkpoint, in eval mode, on the CPU.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged, lies in no run folder, or its run names no model that is known here.
    """
    content = read_checkpoint(path)
    run = run_of(path)
    if run is None:
        raise ValueError(f"{path} does not lie in a run folder: {CONFIG} is missing two folders above")
    name = entry_of(run, "model")["class_path"].rpartition(".")[2]
    by_class = {MODELS[known].__name__: MODELS[known] for known in MODELS.names()}
    if name not in by_class:
        raise ValueError(unknown_name("model class", name, by_class))
    arguments = content.get("hyper_parameters", {})
    try:
        unknown_arguments(name, by_class[name], arguments)
        model = by_class[name](**arguments)
        model.load_state_dict(content["state_dict"])
    except (RuntimeError, TypeError, ValueError) as error:
        said = " ".join(str(error).split())
        raise ValueError(f"{path} does not fit this version of gumbelzoo: {first_line(ValueError(said))}") from None
    return model.eval()


def entry_of(run: Path, part: str) -> dict[str, Any]:
    """What a run's configuration says of its model or of its data.

    Raises:
        ValueError: it is no YAML, or says nothing of them.
    """
    try:
        entry = config_of(run)[part]
        if not isinstance(entry["class_path"], str) or not isinstance(entry.get("init_args") or {}, dict):
            raise TypeError("class_path")
    except (LookupError, TypeError) as error:
        raise ValueError(f"{run / CONFIG} was not written by `fit` ({type(error).__name__})") from None
    return entry


def config_of(run: Path) -> dict[str, Any]:
    """A run's configuration, as plain values.

    Raises:
        ValueError: it is no YAML of named values.
    """
    try:
        content = yaml.safe_load((run / CONFIG).read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError) as error:
        raise ValueError(f"{run / CONFIG} was not written by `fit` ({type(error).__name__})") from None
    if not isinstance(content, dict):
        raise ValueError(f"{run / CONFIG} was not written by `fit` ({type(content).__name__})")
    return content


def _short(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
