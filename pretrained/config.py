"""The folder of a released model: ``config.json``, ``model.safetensors`` and a card, ``README.md``.

Such a folder is untrusted input. Only JSON and safetensors are read, names, types and shapes are checked before any
weight is allocated, nothing in the folder is executed, and each fault is one ValueError that names the file.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from ..models.registry import MODELS
from ..registry import unknown_arguments
from .untrusted import MAX_NUMBER, check_plain, first_line, own_file, read_json

FORMAT = 1
MAX_FIGURE = 1e100  # of a test figure: a whole number of JSON may be longer than any float
CONFIG, WEIGHTS, CARD = "config.json", "model.safetensors", "README.md"
MAX_WEIGHT_BYTES, MAX_HEADER_BYTES = 1 << 31, 1 << 22
PRECISIONS = ("float32", "half")
PLACES = ("root", "path", "test_path")  # arguments of data that say where files lie: a release has none
DTYPES = {torch.float32: ("F32", "F16", "BF16"), torch.int64: ("I64",), torch.int32: ("I32",), torch.bool: ("BOOL",)}


@dataclass(frozen=True)
class ReleaseConfig:
    """What ``config.json`` holds.

    Attributes:
        model: registry name.
        arguments: plain constructor arguments.
        data: the data the figures were measured on, ``{"class": ..., "arguments": {...}}``, or empty.
        test: what was measured: ``{"metrics": {name: value}, "seed": ..., "facts": {...}, "batches": ...}``, or empty.
        precision: of the stored weights: ``float32``, or ``half`` (float16, bfloat16 where that is too small).
        format: version of this layout.
    """

    model: str
    arguments: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    test: dict[str, Any] = field(default_factory=dict)
    precision: str = "float32"
    format: int = FORMAT

    @property
    def metrics(self) -> dict[str, float]:
        """The test figures by name; none if nothing was measured."""
        return self.test.get("metrics", {})


@dataclass(frozen=True)
class Header:
    """What the head of ``model.safetensors`` says: the type and the shape of each tensor."""

    types: dict[str, str]
    shapes: dict[str, tuple[int, ...]]

    @property
    def elements(self) -> int:
        """Numbers in all tensors."""
        return sum(math.prod(shape) for shape in self.shapes.values())


def read_config(folder: Path) -> ReleaseConfig:
    """Read and check ``config.json``.

    Raises:
        ValueError: missing, oversized, not JSON, of another format, with unexpected keys or types, an unknown model, or
            data arguments that name a place on this machine.
    """
    try:
        content = read_json(own_file(folder, CONFIG))
        if content.get("format") != FORMAT or isinstance(content["format"], bool):
            raise ValueError(f"release format {content.get('format')!r} is not {FORMAT}; update gumbelzoo")
        unknown_arguments("a release", ReleaseConfig, content)
        if not isinstance(content.get("model"), str):
            raise ValueError("'model' must be a name")
        if not all(isinstance(content.get(key, {}), dict) for key in ("arguments", "data", "test")):
            raise ValueError("'arguments', 'data' and 'test' must be JSON objects")
        if content.get("precision", "float32") not in PRECISIONS:
            raise ValueError(f"'precision' must be one of {', '.join(PRECISIONS)}")
        config = ReleaseConfig(**content)
        unknown_arguments(config.model, MODELS[config.model], config.arguments)
        check_plain(config.arguments, "arguments", MAX_NUMBER)
        _check_data(config.data)
        _check_test(config.test)
    except (OSError, TypeError, ValueError) as error:
        raise ValueError(f"{folder / CONFIG}: {first_line(error)}") from None
    return config


def _check_data(data: dict[str, Any]) -> None:
    arguments = data.get("arguments", {})
    if not set(data) <= {"class", "arguments"} or not isinstance(data.get("class", ""), str):
        raise ValueError("'data' must have a 'class', by name, and its 'arguments'")
    if not isinstance(arguments, dict):
        raise ValueError("'data.arguments' must be a JSON object")
    for name, value in arguments.items():
        if name in PLACES:
            raise ValueError(f"'data.arguments.{name}' names a place on a machine; a release has none")
        if isinstance(value, (dict, list)):
            raise ValueError(f"'data.arguments.{name}' must be a plain value")


def _check_test(test: dict[str, Any]) -> None:
    metrics, facts = test.get("metrics", {}), test.get("facts", {})
    if not isinstance(metrics, dict) or not all(_is_figure(value) for value in metrics.values()):
        raise ValueError("'test.metrics' must be numbers by name")
    if not isinstance(facts, dict) or not all(isinstance(value, str) for value in facts.values()):
        raise ValueError("'test.facts' must be texts by name")
    if not all(isinstance(test.get(key, 0), int) for key in ("seed", "batches")):
        raise ValueError("'test.seed' and 'test.batches' must be whole numbers")


def _is_figure(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= MAX_FIGURE


def read_header(folder: Path) -> Header:
    """What the weights are, without reading them.

    Raises:
        ValueError: no such file, too large, truncated, or no safetensors.
    """
    try:
        path = own_file(folder, WEIGHTS)
        if path.stat().st_size > MAX_WEIGHT_BYTES:
            raise ValueError(f"{WEIGHTS} is larger than {MAX_WEIGHT_BYTES} bytes")
        with path.open("rb") as file:
            start = file.read(8)
        if len(start) < 8 or struct.unpack("<Q", start)[0] > min(MAX_HEADER_BYTES, path.stat().st_size):
            raise ValueError(f"{WEIGHTS} is truncated or no safetensors file: its header is longer than it may be")
        with safe_open(path, "pt") as weights:
            slices = {name: weights.get_slice(name) for name in weights.keys()}  # noqa: SIM118
            types = {name: part.get_dtype() for name, part in slices.items()}
            return Header(types, {name: tuple(part.get_shape()) for name, part in slices.items()})
    except ValueError as error:
        raise ValueError(f"{folder}: {first_line(error)}") from None
    except Exception as error:  # what the library says of a damaged header has several types
        raise ValueError(f"{folder / WEIGHTS} is truncated or no safetensors file: {first_line(error)}") from None


def check_weights(header: Header, needed: Mapping[str, Tensor]) -> None:
    """ValueError naming the first tensor whose shape or type is not that of the model's; half precision is welcome."""
    expected = {name: tuple(tensor.shape) for name, tensor in needed.items()}
    for name in sorted(expected.keys() | header.shapes.keys()):
        if expected.get(name) != header.shapes.get(name):
            raise ValueError(
                f"{WEIGHTS} does not fit {CONFIG}: {name!r} has shape {header.shapes.get(name, 'missing')}, "
                f"the model needs {expected.get(name, 'no such tensor')}"
            )
        if header.types[name] not in DTYPES.get(needed[name].dtype, ()):
            dtype = str(needed[name].dtype).removeprefix("torch.")
            raise ValueError(f"{WEIGHTS}: {name!r} has type {header.types[name]}, the model needs {dtype}")


def read_weights(folder: Path) -> dict[str, Tensor]:
    """The tensors of weights whose header was checked.

    Raises:
        ValueError: the file was damaged since, or a number in it is not finite.
    """
    try:
        weights = load_file(own_file(folder, WEIGHTS))
    except (OSError, SafetensorError) as error:
        raise ValueError(f"{folder / WEIGHTS} cannot be read: {first_line(error)}") from None
    check_finite_weights(weights, folder / WEIGHTS)
    return weights


def check_finite_weights(weights: Mapping[str, Tensor], source: object) -> None:
    """ValueError naming the first tensor that holds NaN or infinity."""
    for name, tensor in weights.items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise ValueError(f"{source}: {name!r} holds NaN or infinity, so the model can give nothing")
