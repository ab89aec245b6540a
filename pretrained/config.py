"""``config.json`` of a release: registry name, constructor arguments, data and test metrics of a model.

It is untrusted input: names, types, sizes and depth are checked, and it can express no import path.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..models.base import MODELS
from ..registry import unknown_arguments
from .plugins import check_imported, read_names
from .untrusted import MAX_NUMBERS, check_arguments, first_line, parse_json, read_json, resolve_inside

FORMAT = 2
MAX_METRIC = 1e100  # a whole number of JSON may be longer than any float
CONFIG = "config.json"
PRECISIONS = ("float32", "half")
PLACES = (
    "root",
    "path",
    "test_path",
    "labels_path",
    "vocabulary_path",
)  # data arguments that name a place on a machine; a release has none


@dataclass(frozen=True)
class ReleaseConfig:
    """Content of ``config.json``.

    Attributes:
        model: registry name.
        arguments: ``config()`` of the model.
        data: data of the test metrics, ``{"class": registry name, "arguments": {...}}``, or empty.
        test: ``{"metrics": {name: value}, "seed": ..., "batches": ..., "metadata": {...}}``, or empty.
        precision: of the stored weights: ``float32``, or ``half`` (float16, bfloat16 where that is too small).
        ema: decay of the moving averages that the weights are; None for weights that are no averages.
        plugins: modules outside of gumbelzoo that register what the release names.
        format: version of this layout.
    """

    model: str
    arguments: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    test: dict[str, Any] = field(default_factory=dict)
    precision: str = "float32"
    ema: float | None = None
    plugins: list[str] = field(default_factory=list)
    format: int = FORMAT

    @property
    def metrics(self) -> dict[str, float]:
        """Test metrics by name; empty if nothing was measured."""
        return self.test.get("metrics", {})


def read_config(folder: Path) -> ReleaseConfig:
    """Read ``config.json`` of a release folder.

    Raises:
        ValueError: missing, oversized, not JSON, or what ``check_config`` refuses; the file is named.
    """
    try:
        return check_config(read_json(resolve_inside(folder, CONFIG)))
    except (OSError, TypeError, ValueError) as error:
        raise ValueError(f"{folder / CONFIG}: {first_line(error)}") from None


def parse_config(text: str) -> ReleaseConfig:
    """Read the text of a ``config.json``; errors are those of ``read_config`` without a file."""
    return check_config(parse_json(text.encode()))


def check_config(content: Mapping[str, Any]) -> ReleaseConfig:
    """Check the content of a ``config.json``.

    Raises:
        ValueError: another format, an unexpected key or type, a plugin that is not imported, an unknown model or
            argument, an import path, numbers or lists beyond reason, data arguments that name a place on a machine.
    """
    _check_format(content.get("format"))
    unknown_arguments("a release", ReleaseConfig, content)
    if not isinstance(content.get("model"), str):
        raise ValueError("'model' must be a name")
    if not all(isinstance(content.get(key, {}), dict) for key in ("arguments", "data", "test")):
        raise ValueError("'arguments', 'data' and 'test' must be JSON objects")
    if content.get("precision", "float32") not in PRECISIONS:
        raise ValueError(f"'precision' must be one of {', '.join(PRECISIONS)}")
    if (ema := content.get("ema")) is not None and not (type(ema) is float and 0 < ema < 1):
        raise ValueError("'ema' must be a number between 0 and 1")
    check_imported(read_names(content.get("plugins")))
    config = ReleaseConfig(**content)
    check_arguments(config.arguments)
    unknown_arguments(config.model, MODELS[config.model], config.arguments)
    _check_data(config.data)
    check_test(config.test)
    return config


def _check_format(number: Any) -> None:
    if number == 1 and not isinstance(number, bool):
        raise ValueError("release format 1 is no longer read; take the current release, or train the model again")
    if number != FORMAT or isinstance(number, bool):
        raise ValueError(f"release format {number!r} is not {FORMAT}; update gumbelzoo")


def _check_data(data: dict[str, Any]) -> None:
    arguments = data.get("arguments", {})
    if not set(data) <= {"class", "arguments"} or not isinstance(data.get("class", ""), str):
        raise ValueError("'data' must have a 'class', by name, and its 'arguments'")
    if not isinstance(arguments, dict):
        raise ValueError("'data.arguments' must be a JSON object")
    if "." in (kind := data.get("class", "")):
        raise ValueError(f"unknown data module: '{kind}'; in a release data are given by name, not by import path")
    for name, value in arguments.items():
        if name in PLACES:
            raise ValueError(f"'data.arguments.{name}' names a place on a machine; a release has none")
        items = value if isinstance(value, list) else [value]
        if len(items) > MAX_NUMBERS or any(isinstance(item, (dict, list)) for item in items):
            raise ValueError(f"'data.arguments.{name}' must be a plain value or a short list of such")


def check_test(test: dict[str, Any]) -> None:
    """Check the ``test`` of a ``config.json``; ValueError naming what is not what ``ReleaseConfig`` says."""
    metrics, metadata = test.get("metrics", {}), test.get("metadata", {})
    if not isinstance(metrics, dict) or not all(_is_metric(value) for value in metrics.values()):
        raise ValueError("'test.metrics' must be numbers by name")
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise ValueError("'test.metadata' must be texts by name")
    if not all(isinstance(test.get(key, 0), int) for key in ("seed", "batches")):
        raise ValueError("'test.seed' and 'test.batches' must be whole numbers")


def _is_metric(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= MAX_METRIC
