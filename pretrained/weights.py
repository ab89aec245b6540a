"""``model.safetensors`` of a release: types and shapes first, tensors only once these fit the model."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from .untrusted import first_line, resolve_inside

WEIGHTS = "model.safetensors"
MAX_WEIGHT_BYTES, MAX_HEADER_BYTES = 1 << 31, 1 << 22
DTYPES = {
    torch.float32: ("F32", "F16", "BF16"),
    torch.int64: ("I64",),
    torch.int32: ("I32",),
    torch.uint8: ("U8",),
    torch.bool: ("BOOL",),
}


class Weights:
    """Weights of a release folder, from one opened file.

    Args:
        folder: of the release.

    Attributes:
        types: name of each tensor's type, such as ``F32``.
        shapes: shape of each tensor.

    Raises:
        ValueError: no such file, too large, truncated, or not safetensors.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / WEIGHTS
        try:
            path = resolve_inside(folder, WEIGHTS)
            _check_size(path)
            self._file = safe_open(path, "pt")
            slices = {name: self._file.get_slice(name) for name in self._file.keys()}  # noqa: SIM118
            self.types: dict[str, str] = {name: part.get_dtype() for name, part in slices.items()}
            self.shapes: dict[str, tuple[int, ...]] = {name: tuple(part.get_shape()) for name, part in slices.items()}
        except ValueError as error:
            raise ValueError(f"{folder}: {first_line(error)}") from None
        except Exception as error:  # the library's errors for a damaged header have several types
            raise ValueError(f"{self.path} is truncated or no safetensors file: {first_line(error)}") from None

    @property
    def elements(self) -> int:
        """Number of elements in all tensors."""
        return sum(math.prod(shape) for shape in self.shapes.values())

    def check(self, needed: Mapping[str, Tensor]) -> None:
        """Compare types and shapes with a model's; half precision is accepted for float32.

        Raises:
            ValueError: a difference; the first tensor is named.
        """
        expected = {name: tuple(tensor.shape) for name, tensor in needed.items()}
        for name in sorted(expected.keys() | self.shapes.keys()):
            if expected.get(name) != self.shapes.get(name):
                raise ValueError(
                    f"{WEIGHTS} does not fit config.json: {name!r} has shape {self.shapes.get(name, 'missing')}, "
                    f"the model needs {expected.get(name, 'no such tensor')}"
                )
            if self.types[name] not in DTYPES.get(needed[name].dtype, ()):
                raise ValueError(
                    f"{WEIGHTS}: {name!r} has type {self.types[name]}, the model needs {_name(needed[name])}"
                )

    def tensors(self) -> dict[str, Tensor]:
        """Read all tensors.

        Raises:
            ValueError: the file was damaged since, or a tensor holds NaN or infinity.
        """
        try:
            weights = {name: self._file.get_tensor(name) for name in self.shapes}
        except (OSError, SafetensorError) as error:
            raise ValueError(f"{self.path} cannot be read: {first_line(error)}") from None
        check_finite(weights, str(self.path))
        return weights


def _check_size(path: Path) -> None:
    """Check file and header sizes: safetensors itself accepts a header of 100 MB."""
    size = path.stat().st_size
    if size > MAX_WEIGHT_BYTES:
        raise ValueError(f"{WEIGHTS} is larger than {MAX_WEIGHT_BYTES} bytes")
    with path.open("rb") as file:
        start = file.read(8)
    if len(start) < 8 or struct.unpack("<Q", start)[0] > min(MAX_HEADER_BYTES, size):
        raise ValueError(f"{WEIGHTS} is truncated or no safetensors file: its header is longer than it may be")


def check_types(weights: Mapping[str, Tensor], owner: str) -> None:
    """Check that a release stores the type of every tensor; the ValueError names the first that it does not."""
    for name, tensor in weights.items():
        if tensor.dtype not in DTYPES:
            raise ValueError(f"{owner}: {name!r} has type {_name(tensor)}, which a release does not store")


def check_finite(weights: Mapping[str, Tensor], owner: str) -> None:
    """Check that no tensor holds NaN or infinity; the ValueError names the first that does."""
    for name, tensor in weights.items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise ValueError(f"{owner}: {name!r} holds NaN or infinity, so the model can give nothing")


def _name(tensor: Tensor) -> str:
    """Name of a tensor's type, such as ``float32``."""
    return str(tensor.dtype).removeprefix("torch.")
