"""Sources of the commands other than ``fit``: a released name, a folder, a hub id, or a run; and their data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_type_hints

import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor

from ...data import DATA, CodeData
from ...models import MODELS
from ...pretrained.api import find
from ...pretrained.plugins import imported_class, unknown_import
from ...pretrained.run import Run
from ...registry import Registry, unknown_arguments
from .split_images import SplitImages, spread

METHODS = ("sample", "reconstruct", "encode", "decode", "interpolate")
SHOWING = ("sample", "reconstruct")  # commands that show what a model does, if they can


@dataclass(frozen=True)
class Source:
    """A trained model and its data.

    Attributes:
        model: a ``ZooModel`` in eval mode, on the CPU; its methods depend on its class.
        data: ``{"class": registry name, "arguments": {...}}``, or empty if unknown.
        run: folder of a run; None for a release.
        checkpoint: file of a run that the weights were read from.
        seed: of the run, or of the test behind a release's metrics.
        batches: training batches behind a run's checkpoint.
    """

    model: Any
    data: dict[str, Any]
    run: Path | None = None
    checkpoint: Path | None = None
    seed: int = 0
    batches: int = 0


def resolve_source(name: str) -> Source:
    """Load a released name, release folder, hub id, run folder or ``.ckpt`` file of a run.

    Raises:
        ValueError: nothing of that name, or a damaged file.
        FileNotFoundError: a run without a checkpoint.
    """
    found = find(name)
    model = found.load_model()
    if isinstance(found, Run):
        return Source(model, found.data, found.folder, found.checkpoint, found.seed, found.batches)
    return Source(model, found.data, seed=found.seed)


def require_method(model: Any, method: str) -> None:
    """Check that a model has the method of a command; the ValueError names those that it has."""
    if not hasattr(model, method):
        known = ", ".join(["test", *(other for other in METHODS if hasattr(model, other))])
        raise ValueError(f"a {model.registry_name} model cannot {method}; it can: {known}")


def refuse_others(options: Any, model: Any, images: Sequence[str], text: Sequence[str]) -> bool:
    """Return whether a model is of text; ValueError for an option of the other kind of models.

    Args:
        options: of a command.
        model: its model.
        images, text: options that only models of images, or of text, have a use for.
    """
    is_text = model.batch_key == "tokens"
    for name in images if is_text else text:
        if not (getattr(options, name) is None or getattr(options, name) is False):
            kind = "text" if is_text else "images"
            raise ValueError(f"a {model.registry_name} model is of {kind} and has no use for --{name}; leave it out")
    return is_text


# -- options of `test` ------------------------------------------------------------------------------------------------


def plain_options(model: Any) -> list[tuple[str, type, Any]]:
    """Name, type and value of a model's arguments that are annotated as a number, text or switch."""
    hints = get_type_hints(type(model).__init__)
    return [(name, hints[name], value) for name, value in model.config().items() if _is_plain(hints.get(name))]


def _is_plain(hint: Any) -> bool:
    return hint in (bool, int, float, str)


def with_options(model: Any, options: Mapping[str, Any]) -> Any:
    """Return the model, or one with the same weights and other arguments."""
    config = model.config()
    if all(config[name] == value for name, value in options.items()):
        return model
    other = type(model)(**{**config, **options})
    other.load_state_dict(model.state_dict())
    return other.eval()


# -- data -------------------------------------------------------------------------------------------------------------


def data_class(description: dict[str, Any]) -> type[LightningDataModule]:
    """Return the class of a source's data: a registered one, or of a run a user's own that has been imported.

    Raises:
        ValueError: no data is named, or an unknown class or argument is, or an argument has another type.
    """
    from ..parsing.specs import Constructor

    if not description:
        raise ValueError("this release does not say which data it belongs to")
    name = str(description.get("class"))
    found = imported_class(name, LightningDataModule) if "." in name else DATA[name]
    if found is None:
        raise ValueError(unknown_import("data module", name, DATA))
    unknown_arguments(name, found, description.get("arguments", {}))
    Constructor(found).check(description.get("arguments", {}), "data", ())
    return found


def named_source(source: Source) -> Source:
    """Return a source whose model and data have registry names, as a release needs them.

    Raises:
        ValueError: one of them is in no registry.
    """
    data = data_class(source.data)
    _require_name("model", type(source.model), MODELS)
    return replace(source, data={**source.data, "class": _require_name("data", data, DATA)})


def _require_name(section: str, kind: type, registry: Registry[Any]) -> str:
    """Return the registry name of a class; ValueError if it has none, or only that of a class which it extends."""
    name = str(getattr(kind, "registry_name", ""))
    if name not in registry or registry[name] is not kind:
        raise ValueError(
            f"{kind.__module__}.{kind.__qualname__} is in no registry, and a release names no import path: put "
            f'@register_{section}("NAME") above the class'
        )
    return name


def build_data(description: dict[str, Any], **overrides: Any) -> LightningDataModule:
    """Build the data module of a source, some arguments overridden; errors are those of ``data_class``."""
    arguments = {**description.get("arguments", {}), **{key: value for key, value in overrides.items() if value}}
    return data_class(description and {**description, "arguments": arguments})(**arguments)


def open_splits(source: Source, splits: Sequence[str], root: str | None = None) -> list[SplitImages]:
    """Return the images of some of the splits train, valid and test of a source's own data set, none of them read yet.

    Raises:
        ValueError: no data, data of codes or without images.
    """
    if has_codes(source):
        raise ValueError("the data of this prior are codes already, without the images; `gumbelzoo decode` shows them")
    datamodule = build_data(source.data, root=root)
    datamodule.prepare_data()
    for stage in dict.fromkeys("test" if split == "test" else "fit" for split in splits):
        datamodule.setup(stage)
    return [SplitImages(datamodule, split) for split in splits]


def has_codes(source: Source) -> bool:
    """True for a prior that was trained from codes on disk; errors are those of ``data_class``."""
    return issubclass(data_class(source.data), CodeData)


def read_test_images(source: Source, n: int, root: str | None = None) -> tuple[Tensor, list[int]]:
    """Return ``n`` test images ``n c h w``, or all if there are fewer, and their classes, if they are known.

    They are spread evenly over the set: some published sets are sorted by class. Data of codes have none of them: the
    images are ``0 c h w``.

    Raises:
        ValueError: the model's data has neither images nor codes.
    """
    if has_codes(source):
        return torch.zeros(0, *source.model.image_shape), []
    (split,) = open_splits(source, ["test"], root)
    batches = [*split.batches(spread(len(split), n))]
    labels = [label for batch in batches if "label" in batch for label in batch["label"].tolist()]
    return torch.cat([batch["image"] for batch in batches]), labels


# -- devices ----------------------------------------------------------------------------------------------------------


def find_device(name: str | None) -> torch.device:
    """Return the device of a name, by default the accelerator, if there is one; ValueError if it is not there."""
    try:
        device = torch.device(name) if name else torch.accelerator.current_accelerator(check_available=True)
        return torch.zeros((), device=device or "cpu").device
    except (RuntimeError, AssertionError, NotImplementedError):  # of its backend
        found = torch.accelerator.current_accelerator(check_available=True)
        known = "cpu" if found is None else f"cpu, {found.type}"
        raise ValueError(f"there is no device '{name}' here; --device takes {known}") from None
