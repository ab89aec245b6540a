"""Run folder as ``fit`` writes it: ``config.yaml`` names the model and its data, a checkpoint has its weights."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..models.base import MODELS, ZooModel
from ..registry import unknown_arguments, unknown_name
from . import config as release
from .budget import Budget
from .paths import user_path
from .plain_yaml import read_yaml
from .plugins import check_imported, imported_class, read_names, unknown_import
from .run_files import CHECKPOINTS, CONFIG, DATA, SHARDS, checkpoint_path
from .untrusted import check_archive, first_line

PACKAGE = __name__.partition(".")[0]


class Run:
    """A run folder; each of its files is read once, at first use.

    Args:
        folder: ``runs/<configuration>/<number>``.
        checkpoint: one of its ``.ckpt`` files; default: the best, else the last.
    """

    def __init__(self, folder: Path, checkpoint: Path | None = None) -> None:
        best, last = (checkpoint_path(folder, name) for name in CHECKPOINTS)
        self.folder, self.checkpoint = folder, checkpoint or (best if best.is_file() else last)

    @classmethod
    def of(cls, checkpoint: Path) -> Run:
        """Return the run that a checkpoint lies in.

        Raises:
            FileNotFoundError: there is no such checkpoint.
            ValueError: it lies in no run folder.
        """
        checkpoint = user_path(checkpoint)
        _check_exists(checkpoint)
        folder = run_of(checkpoint)
        if folder is None:
            raise ValueError(f"{checkpoint} does not lie in a run folder: {CONFIG} is missing two folders above")
        return cls(folder, checkpoint)

    # -- config.yaml --------------------------------------------------------------------------------------------------

    @cached_property
    def config(self) -> dict[str, Any]:
        """Content of ``config.yaml``.

        Raises:
            ValueError: it is no such file, or its run needs a plugin that is not imported.
        """
        content = read_yaml(self.folder / CONFIG)
        try:
            check_imported(read_names(content.get("plugin")))
        except ValueError as error:
            raise ValueError(f"{self.folder / CONFIG}: {error}") from None
        return content

    @property
    def model_class(self) -> type[ZooModel]:
        """Class of the model.

        Raises:
            ValueError: no model of that name is registered, nor a class of that path imported.
        """
        name = self._entry("model")["class_path"]
        if name in MODELS:
            return MODELS[name]
        module, _, attribute = name.rpartition(".")
        renamed = {MODELS[known].__name__: known for known in MODELS}
        if module.split(".")[0] in ("", PACKAGE) and attribute in renamed:
            raise ValueError(
                f"{self.folder / CONFIG} has the layout of an earlier gumbelzoo ('{name}' is now "
                f"'{renamed[attribute]}'); train the model again, or take a current release"
            )
        if found := imported_class(name, ZooModel):
            return found
        said = unknown_import("model", name, MODELS) if module else unknown_name("model", name, MODELS)
        raise ValueError(f"{self.folder / CONFIG}: {said}")

    @property
    def data(self) -> dict[str, Any]:
        """Data of the run, ``{"class": name, "arguments": {...}}``."""
        entry = self._entry("data")
        arguments = dict(entry.get("init_args") or {})
        place, kept = arguments.get("path"), self.folder / DATA
        if isinstance(place, str) and Path(place).name == DATA and kept.is_file():  # the run may have been moved
            arguments["path"] = str(kept)
        return {"class": entry["class_path"], "arguments": arguments}

    @property
    def seed(self) -> int:
        """Seed of the run; 0 if none was set."""
        seed = self.config.get("seed_everything", 0)
        return seed if type(seed) is int else 0

    def _entry(self, part: str) -> dict[str, Any]:
        """``class_path`` and ``init_args`` of the model or of the data."""
        entry = self.config.get(part)
        if not isinstance(entry, dict) or not isinstance(entry.get("class_path"), str):
            raise ValueError(f"{self.folder / CONFIG} was not written by `fit`: it names no {part}")
        if not isinstance(entry.get("init_args") or {}, dict):
            raise ValueError(f"{self.folder / CONFIG} was not written by `fit`: init_args of {part} is no mapping")
        return entry

    # -- checkpoint ---------------------------------------------------------------------------------------------------

    @cached_property
    def content(self) -> dict[str, Any]:
        """Content of the checkpoint; errors are those of ``read_checkpoint``."""
        return read_checkpoint(self.checkpoint)

    @property
    def batches(self) -> int:
        """Training batches behind the checkpoint."""
        return batches_trained(self.content)

    def load_model(self) -> ZooModel:
        """Build the model in eval mode, on the CPU.

        Raises:
            FileNotFoundError: there is no checkpoint.
            ValueError: it is damaged, of another layout, or its run names no known model.
        """
        model_class, weights = self.model_class, self.content["state_dict"]
        arguments = self.content.get("hyper_parameters", {})
        try:
            unknown_arguments(model_class.registry_name or model_class.__name__, model_class, arguments)
            if model_class in [MODELS[name] for name in MODELS]:
                # On the device meta nothing is allocated: first see whether the weights fit, then build for real. A
                # user's own class may read its tensors while it is built, which is impossible there.
                with Budget(len(weights), sum(tensor.numel() for tensor in weights.values())), torch.device("meta"):
                    skeleton = model_class(**arguments)
                # A copy: torch would note `assign` on the weights themselves, and the model below share their memory.
                skeleton.load_state_dict(dict(weights), assign=True)
            model = model_class(**arguments)
            model.load_state_dict(weights)
        except Exception as error:  # whatever a constructor does with arguments of an earlier version
            message = ValueError(" ".join(str(error).split()))
            raise ValueError(
                f"{self.checkpoint} does not fit this version of gumbelzoo: {first_line(message)}"
            ) from error
        return model.eval()


def is_run(folder: Path) -> bool:
    """Return True for a folder that ``fit`` wrote; a folder that has a ``config.json`` as well is a release."""
    return (folder / CONFIG).is_file() and not (folder / release.CONFIG).exists()


def run_of(checkpoint: Path) -> Path | None:
    """Return the run folder that a checkpoint lies in, relative to the working folder if inside; None if in none."""
    run = checkpoint.resolve().parent.parent
    if not is_run(run):
        return None
    return run.relative_to(Path.cwd()) if run.is_relative_to(Path.cwd()) else run


def read_checkpoint(path: Path, whole: bool = True) -> dict[str, Any]:
    """Read a Lightning checkpoint, tensors and plain values only; no code in it runs.

    Args:
        path: of the file.
        whole: read the weights of one that is split over processes as well; the folder with them lies beside it.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged, or was not written by ``fit``.
    """
    path = user_path(path)
    _check_exists(path)
    try:
        with path.open("rb") as file:
            check_archive(file)
            size = file.seek(0, os.SEEK_END)
            file.seek(0)
            content = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # zip, pickle and torch raise errors of their own types
        said = first_line(error) if type(error) is ValueError else type(error).__name__
        raise ValueError(f"{path} is damaged or no checkpoint of `fit` ({said})") from None
    if not isinstance(content, dict) or not {"state_dict", "loops", "global_step"} <= content.keys():
        raise ValueError(f"{path} is no checkpoint of `fit`: it lacks weights or the trainer's state")
    weights, arguments = content["state_dict"], content.get("hyper_parameters", {})
    if not isinstance(weights, dict) or not all(isinstance(tensor, Tensor) for tensor in weights.values()):
        raise ValueError(f"{path} is no checkpoint of `fit`: its weights are no tensors by name")
    if sum(tensor.numel() * tensor.element_size() for tensor in weights.values()) > size:
        raise ValueError(f"{path} is no checkpoint of `fit`: its weights are larger than the file")
    if not isinstance(arguments, dict) or not all(isinstance(name, str) for name in arguments):
        raise ValueError(f"{path} is no checkpoint of `fit`: its arguments are no mapping of names")
    if whole and SHARDS in content:
        from .shards import read_weights, shards_of  # torch.distributed takes its time

        if folder := shards_of(path, content):
            content["state_dict"] = read_weights(folder)
    return content


def batches_trained(checkpoint: Mapping[str, Any]) -> int:
    """Return the training batches behind a checkpoint, whatever the number of optimizers; ValueError without them."""
    batches: Any = checkpoint
    for key in ("loops", "fit_loop", "epoch_loop.batch_progress", "total", "ready"):
        batches = batches.get(key) if isinstance(batches, Mapping) else None
    if type(batches) is not int or batches < 0:
        raise ValueError("the checkpoint was not written by `fit`: it does not count its training batches")
    return batches


def _check_exists(checkpoint: Path) -> None:
    if not checkpoint.is_file():
        raise FileNotFoundError(f"there is no checkpoint '{checkpoint}'; --ckpt_path takes best, last or a .ckpt file")
