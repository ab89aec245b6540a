"""The commands ``fit``, ``test`` and ``export`` as functions, for notebooks and scripts; with arrays as data."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..data import ImageData
from ..models.base import MODELS, ZooModel
from ..pretrained.api import load
from ..pretrained.paths import user_path
from ..pretrained.plugins import import_plugins
from ..registry import plain, unknown_name
from .parsing.specs import constructor_of
from .training.vouched import OPTIONS as TRAINER

GENERAL = ("seed_everything", "ema", "wandb", "checkpoint_every")  # options of `fit` that name no section


@dataclass(frozen=True)
class Fitted:
    """A trained model.

    Attributes:
        model: the best by its validation metric, else the last, in eval mode.
        run: the folder, which every command takes.
        finished: False if training was interrupted; ``fit(resume=run)`` goes on.
    """

    model: ZooModel
    run: Path
    finished: bool


def fit(
    model: str | Mapping[str, Any] | None = None,
    data: Any = None,
    labels: Any = None,
    *,
    name: str | None = None,
    resume: Fitted | str | Path | None = None,
    plugins: Sequence[str] = (),
    **options: Any,
) -> Fitted:
    """Train a model, as the command ``fit`` does, with the same run folder.

    Args:
        model: registry name, or ``{"name": ..., options}``. Its ``image_shape`` is that of the images, if it is not
            given.
        data: images ``n h w``, ``n c h w`` or ``n h w c``; an ``ImageData``, for other splits, batch sizes and data
            sets; a file or folder of arrays; or the name of a data module with its options, ``{"class": "text", "name":
            "names"}``. Data in memory are kept in the run folder, up to 64 MiB.
        labels: of images in an array, ``n``.
        name: of the run; default: the next number.
        resume: a run that goes on, with its own model and data.
        plugins: modules or ``.py`` files that register your own models, parts or data.
        options: of Lightning's ``Trainer``, such as ``max_epochs``, as plain values; and ``seed_everything``, ``ema``,
            ``wandb`` and ``checkpoint_every`` of the command ``fit``. One device is used by default.

    Raises:
        ValueError: what the command refuses, before training.
        KeyboardInterrupt: training was interrupted before it could be resumed.

    Example:
        >>> import gumbelzoo, torch
        >>> images = (torch.rand(500, 8, 8) > 0.5).float()
        >>> fitted = gumbelzoo.fit("categorical_vae", images, max_steps=10)  # doctest: +SKIP
        >>> fitted.model.sample(16).shape  # doctest: +SKIP
        torch.Size([16, 1, 8, 8])
    """
    from .training.kept_data import NotebookCLI, check_kept_size

    if resume is None and (model is None or data is None):
        raise ValueError("give a model and data, as in fit('vq_vae', x_train); or a run, fit(resume=RUN)")
    if resume is not None and any(part is not None for part in (model, data, labels, name)):
        raise ValueError("a run goes on with its own model, data and name: give resume alone, and options")
    import_plugins(plugins)
    given, arguments = None, ["fit", *(f"--plugin={plugin}" for plugin in plugins)]
    if resume is not None:
        arguments.append(f"--ckpt_path={_source(resume)}")
    else:
        images = _images(data, labels)
        arguments += _model_tokens(model, images)
        arguments += _data_tokens(data if images is None else {"class": "images", **images.arguments()})
        given = images if images is not None and images.in_memory else None
    arguments += _tokens("", {} if name is None else {"name": name})
    arguments += _option_tokens({"devices": 1, **options})
    if given is not None:
        check_kept_size(given)
    command = NotebookCLI(arguments, given)
    if command.recorder is None:
        raise ValueError("fast_dev_run keeps no run, and fit returns one; use max_steps=1")
    assert command.recorder.run is not None
    return Fitted(load(command.recorder.run), command.recorder.run, not command.interrupted)


def test(source: Fitted | str | Path, **options: Any) -> dict[str, float]:
    """Measure a run or a release on its test set, as the command ``test`` does, and return the metrics by name.

    Args:
        source: what ``fit`` returned, a run folder, a ``.ckpt`` file of one, or what ``load`` takes.
        options: of Lightning's ``Trainer``, such as ``accelerator``.

    Raises:
        ValueError: nothing of that name, or data that are not there.
    """
    from .test import measure_sources

    name = _source(source)
    return measure_sources("test", [name, *_option_tokens(options)])[name]["metrics"]


def export(source: Fitted | str | Path, folder: str | Path, half: bool = False, licence: str | None = None) -> Path:
    """Write a release folder from a tested run, as the command ``export`` does, and return the folder.

    Args:
        source: what ``fit`` returned, a run folder, or a ``.ckpt`` file of one.
        folder: its last part is the release's name.
        half: store weights in half precision, and test the model again with them.
        licence: of the model, as hubs name it.

    Raises:
        ValueError: the run is not tested, or the folder exists.
    """
    from .export import run

    target = user_path(folder)
    run(argparse.Namespace(source=_source(source), folder=target, onnx=None, half=half, licence=licence))
    return target


def _source(given: Fitted | str | Path) -> str:
    return str(given.run if isinstance(given, Fitted) else given)


def _images(data: Any, labels: Any) -> ImageData | None:
    """Return data of images as a data module; None for a data module that is named."""
    named = isinstance(data, Mapping) and "class" in data
    if labels is not None and (named or isinstance(data, (ImageData, Mapping, str, Path))):
        raise ValueError("labels go with images in an array; give both in ImageData.from_arrays(x_train, y_train, ...)")
    if named:
        return None
    if isinstance(data, ImageData):
        return data
    if isinstance(data, (str, Path)):
        return ImageData("arrays", path=str(user_path(data).resolve()))
    return ImageData.from_arrays(**data) if isinstance(data, Mapping) else ImageData.from_arrays(data, labels)


def _model_tokens(model: Any, images: ImageData | None) -> Iterator[str]:
    """Options that choose the model, its images of the shape of the data."""
    name, arguments = MODELS.read(model)
    yield f"--model={name}"
    if images is not None and "image_shape" in constructor_of(MODELS[name]).names:  # type: ignore[arg-type]
        arguments = {"image_shape": list(images.shape), **arguments}
    yield from _tokens("model.", arguments)


def _data_tokens(data: Mapping[str, Any]) -> Iterator[str]:
    """Options that choose the data."""
    yield f"--data={data['class']}"
    yield from _tokens("data.", {name: value for name, value in data.items() if name != "class"})


def _option_tokens(options: Mapping[str, Any]) -> Iterator[str]:
    """Options of the trainer and of ``fit``; ValueError that names the nearest to an unknown one."""
    for name, value in options.items():
        if name not in TRAINER and name not in GENERAL:
            raise ValueError(unknown_name("argument of fit", name, [*TRAINER, *GENERAL]))
        yield from _tokens("" if name in GENERAL else "trainer.", {name: value})


def _tokens(prefix: str, values: Mapping[str, Any]) -> Iterator[str]:
    """Options as they are typed; ValueError for a value that a configuration cannot hold."""
    for name, value in values.items():
        try:
            text = str(value) if isinstance(value, (str, Path)) else json.dumps(plain(value), allow_nan=False)
        except (TypeError, ValueError):
            raise ValueError(f"{name} must be plain numbers and texts, got {repr(value)[:60]}") from None
        yield f"--{prefix}{name}={text}"
