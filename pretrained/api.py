"""The verbs of the zoo: ``list_models``, ``list_pretrained``, ``create_model``, ``load``.

``release`` says what a release is and reads it, ``saving`` writes it; the hub's part is in ``hub``, that of runs in
``run_folder``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import torch

from ..models.base import ZooModel
from ..models.registry import MODELS
from ..registry import unknown_arguments, unknown_name
from . import hub
from .config import CONFIG, check_weights, read_config, read_header, read_weights
from .run import find_checkpoint, is_run, load_checkpoint
from .untrusted import Budget, first_line

RELEASED = Path(__file__).resolve().parent.parent / "checkpoints"
_builds_release: ContextVar[bool] = ContextVar("builds a release", default=False)


def list_models(pattern: str = "*") -> list[str]:
    """Names of the models that ``create_model`` builds, by shell pattern."""
    return MODELS.names(pattern)


def list_pretrained(pattern: str = "*") -> list[str]:
    """Names of the released checkpoints that come with the package, by shell pattern."""
    return sorted(path.parent.name for path in RELEASED.glob(f"*/{CONFIG}") if fnmatch(path.parent.name, pattern))


def create_model(name: str, pretrained: bool = False, **arguments: Any) -> ZooModel:
    """Build a model: untrained from its registry name, or a released one with some arguments changed.

    Args:
        name: of ``list_models()``; with ``pretrained`` what ``load`` takes for a release, such as ``catvae-mnist``.
        pretrained: load the weights of the release ``name``; the model is in eval mode.
        arguments: constructor arguments, beside the defaults or over those of the release. The weights must still fit.

    Raises:
        ValueError: unknown name or argument (the nearest one is named), arguments that the model refuses or that the
            weights do not fit, a damaged release.
    """
    if pretrained:
        if name in MODELS:
            raise ValueError(f"'{name}' is a model, and its releases have names of their own: {_released(name)}")
        return _load_release(find_release(name), arguments)
    if name not in MODELS and name in list_pretrained():
        raise ValueError(f"'{name}' is a released checkpoint: add pretrained=True, or use load('{name}')")
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
    if _builds_release.get():
        raise ValueError(f"its arguments name another model, '{source}'; a release is complete in itself")
    if (checkpoint := find_checkpoint(source)) is not None:
        return load_checkpoint(checkpoint)
    return _load_release(find_release(source), {})


def find_release(source: str | Path) -> Path:
    """Folder of a release: by name, as a folder, or fetched from the hub.

    Raises:
        ValueError: there is none, naming the nearest released name.
    """
    name, folder = str(source), Path(source)
    if name in list_pretrained():
        return RELEASED / name
    if folder.is_dir():
        if not (folder / CONFIG).exists():
            runs = [int(path.name) for path in folder.iterdir() if path.name.isdecimal() and is_run(path)]
            hint = f"; did you mean its newest run, '{folder / str(max(runs))}'?" if runs else ""
            raise ValueError(f"{folder} is no release folder: it has no {CONFIG}{hint}")
        return folder
    if isinstance(source, str) and re.fullmatch(r"[\w.-]+/[\w.-]+", source):
        return hub.fetch(source)
    raise ValueError(unknown_name("released checkpoint or folder", name, list_pretrained()))


def _load_release(folder: Path, changes: Mapping[str, Any]) -> ZooModel:
    """Build twice: first without memory, to see whether the weights fit, then to be filled."""
    config, header = read_config(folder), read_header(folder)
    arguments = {**config.arguments, **changes}
    unknown_arguments(config.model, MODELS[config.model], arguments)
    changed = f" with {', '.join(f'{name}={value!r}' for name, value in changes.items())}" if changes else ""
    try:
        with _building(), Budget(len(header.shapes), header.elements), torch.device("meta"):
            skeleton = MODELS[config.model](**arguments)
        check_weights(header, skeleton.state_dict())
        with _building():
            model = MODELS[config.model](**arguments)
    except ValueError as error:
        raise ValueError(f"{folder}{changed}: {first_line(error)}") from None
    except Exception as error:  # whatever a constructor does with arguments of the wrong kind
        raise ValueError(
            f"{folder / CONFIG}{changed}: {config.model} refuses these arguments: {first_line(error)}"
        ) from error
    model.load_state_dict(read_weights(folder))
    return model.eval()


@contextmanager
def _building() -> Iterator[None]:
    """Inside, nothing else is loaded: the arguments of a release must not make us read other files."""
    token = _builds_release.set(True)
    try:
        yield
    finally:
        _builds_release.reset(token)


def _released(model: str) -> str:
    names = [name for name in list_pretrained() if read_config(RELEASED / name).model == model]
    return ", ".join(names) or "none yet"
