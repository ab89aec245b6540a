"""Released models: folders with ``config.json``, ``model.safetensors`` and a card, and the verbs that use them.

A release folder is untrusted input: only JSON and safetensors are read, names and shapes are checked before any weight
is allocated, and each fault is one ValueError that names the file. Nothing in the folder is ever executed.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save

from ..registry import unknown_arguments, unknown_name
from .base import ZooModel
from .registry import MODELS
from .run_folder import find_checkpoint, load_checkpoint

FORMAT = 1
CONFIG, WEIGHTS, CARD = "config.json", "model.safetensors", "README.md"
RELEASED = Path(__file__).resolve().parent.parent / "checkpoints"
MAX_CONFIG_BYTES = 1 << 20
MAX_WEIGHT_BYTES = 1 << 31


@dataclass(frozen=True)
class ReleaseConfig:
    """What ``config.json`` holds.

    Attributes:
        model: registry name.
        arguments: plain constructor arguments.
        data: the data the figures on the card were measured on, ``{"class": ..., "arguments": {...}}``, or empty.
        format: version of this layout.
    """

    model: str
    arguments: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    format: int = FORMAT


def list_models(pattern: str = "*") -> list[str]:
    """Names of the models that ``create_model`` builds, by shell pattern."""
    return MODELS.names(pattern)


def list_pretrained(pattern: str = "*") -> list[str]:
    """Names of the released checkpoints that come with the package, by shell pattern."""
    return sorted(path.parent.name for path in RELEASED.glob(f"*/{CONFIG}") if fnmatch(path.parent.name, pattern))


def create_model(name: str, **arguments: Any) -> ZooModel:
    """Build an untrained model from its registry name and constructor arguments.

    Raises:
        ValueError: unknown name or argument (the nearest one is named), or arguments that the model refuses.
    """
    model = MODELS[name]
    unknown_arguments(name, model, arguments)
    return model(**arguments)


def load(source: str | Path) -> ZooModel:
    """Load a released or trained model in eval mode, on the CPU.

    Args:
        source: a name of ``list_pretrained()``, a release folder, or a Hugging Face hub id ``user/repository``; a run
            folder of ``fit``, or one of its ``.ckpt`` files.

    Raises:
        ValueError: no such release or run, or one that is damaged, foreign or of another format.
        FileNotFoundError: a run without a checkpoint.
    """
    if (checkpoint := find_checkpoint(source)) is not None:
        return load_checkpoint(checkpoint)
    folder = find_release(source)
    config = read_config(folder)
    origin = folder / CONFIG
    try:
        with torch.device("meta"):
            skeleton = create_model(config.model, **config.arguments)
        _check_weights(folder / WEIGHTS, skeleton)
        model = create_model(config.model, **config.arguments)
    except ValueError as error:
        raise ValueError(f"{origin.parent}: {error}") from None
    except Exception as error:  # whatever a constructor does with arguments of the wrong kind
        raise ValueError(f"{origin}: {config.model} refuses these arguments: {_first_line(error)}") from error
    model.load_state_dict(load_file(folder / WEIGHTS))
    return model.eval()


def find_release(source: str | Path) -> Path:
    """Folder of a release: by name, as a folder, or fetched from the hub.

    Raises:
        ValueError: there is none, naming the nearest released name.
    """
    name, folder = str(source), Path(source)
    if name in list_pretrained():
        return RELEASED / name
    if folder.is_dir():
        if not (folder / CONFIG).is_file():
            raise ValueError(f"{folder} is no release folder: it has no {CONFIG}")
        return folder
    if isinstance(source, str) and re.fullmatch(r"[\w.-]+/[\w.-]+", source):
        return _fetch(source)
    raise ValueError(unknown_name("released checkpoint or folder", name, list_pretrained()))


def read_config(folder: Path) -> ReleaseConfig:
    """Read and check ``config.json``.

    Raises:
        ValueError: missing, oversized, not JSON, of another format, with unexpected keys or an unknown model.
    """
    path = folder / CONFIG
    try:
        if path.stat().st_size > MAX_CONFIG_BYTES:
            raise ValueError(f"it is larger than {MAX_CONFIG_BYTES} bytes")
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise ValueError("it must hold one JSON object")
        if content.get("format") != FORMAT:
            raise ValueError(f"release format {content.get('format')!r} is not {FORMAT}; update gumbelzoo")
        unknown_arguments("a release", ReleaseConfig, content)
        if not isinstance(content.get("model"), str):
            raise ValueError("'model' must be a name")
        if not all(isinstance(content.get(key, {}), dict) for key in ("arguments", "data")):
            raise ValueError("'arguments' and 'data' must be JSON objects")
        config = ReleaseConfig(**content)
        unknown_arguments(config.model, MODELS[config.model], config.arguments)
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{path}: {_first_line(error)}") from None
    return config


def save_pretrained(
    model: ZooModel,
    folder: str | Path,
    *,
    card: str = "",
    data: Mapping[str, Any] | None = None,
    pictures: Mapping[str, Path] | None = None,
) -> Path:
    """Write a release folder in one move; an existing folder is never touched.

    Args:
        model: its ``hparams`` must be its constructor arguments, in plain values.
        folder: where; its last part is the release's name.
        card: text of ``README.md``.
        data: what ``ReleaseConfig.data`` says.
        pictures: files to copy into the folder, by the name they get there.

    Raises:
        ValueError: the folder exists, or an argument is no plain value.
    """
    folder = Path(folder)
    if folder.exists():
        raise ValueError(f"{folder} exists already and is not overwritten; choose another name or remove it")
    config = {"format": FORMAT, "model": model.registry_name, "arguments": dict(model.hparams), "data": data or {}}
    try:
        text = json.dumps(config, indent=2, allow_nan=False) + "\n"
    except (TypeError, ValueError) as error:
        raise ValueError(f"{model.registry_name} has an argument that is no plain value: {error}") from None
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as scratch:
        release = Path(scratch) / folder.name
        release.mkdir()
        (release / CONFIG).write_text(text, encoding="utf-8")
        (release / CARD).write_text(card, encoding="utf-8")
        weights = save({name: tensor.contiguous() for name, tensor in model.state_dict().items()})
        (release / WEIGHTS).write_bytes(weights)
        for name, picture in (pictures or {}).items():
            (release / name).write_bytes(Path(picture).read_bytes())
        release.rename(folder)
    return folder


def _fetch(repository: str) -> Path:
    """Download exactly the two files that are read, or return the hub's cached copy."""
    from huggingface_hub import snapshot_download

    try:
        folder = Path(snapshot_download(repository, allow_patterns=[CONFIG, WEIGHTS]))
    except Exception as error:  # HTTP, offline and cache errors come from several libraries
        raise ValueError(
            f"no folder '{repository}' here, and the hub has no release of that name: {_first_line(error)}"
        ) from None
    if not (folder / CONFIG).is_file():
        raise ValueError(f"the hub's '{repository}' is no gumbelzoo release: it has no {CONFIG}")
    return folder


def _check_weights(path: Path, skeleton: ZooModel) -> None:
    """ValueError unless the file holds exactly the skeleton's tensors; reads nothing but its header."""
    expected = {name: tuple(tensor.shape) for name, tensor in skeleton.state_dict().items()}
    try:
        if path.stat().st_size > MAX_WEIGHT_BYTES:
            raise ValueError(f"{path.name} is larger than {MAX_WEIGHT_BYTES} bytes")
        with safe_open(path, "pt") as weights:
            found = {name: tuple(weights.get_slice(name).get_shape()) for name in weights.keys()}  # noqa: SIM118
    except FileNotFoundError:
        raise ValueError(f"{path.name} is missing") from None
    except (OSError, SafetensorError) as error:
        raise ValueError(f"{path.name} is truncated or no safetensors file: {_first_line(error)}") from None
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            raise ValueError(
                f"{path.name} does not fit {CONFIG}: '{name}' has shape {found.get(name, 'missing')}, "
                f"the model needs {expected.get(name, 'no such tensor')}"
            )


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
