"""Arrays of users, from ``.npz`` files. Shape and type are read before memory is taken, and nothing is unpickled."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...pretrained.untrusted import first_line, open_zip

MAX_VALUES = 1 << 27  # as codes, of 8 bytes each, 1 GiB
MAX_BYTES = 1 << 30
PART = 1 << 22  # bytes
LARGEST = float(np.finfo(np.float32).max)
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
KINDS = {"c": "complex numbers", "m": "time spans", "M": "dates", "O": "objects", "S": "bytes", "U": "texts"}


def read_codes(path: Path, limit: int | None = None) -> Tensor:
    """Read the ``codes`` of an .npz file, as ``encode`` writes them: int64, or float32 for continuous latents.

    Args:
        path: the file.
        limit: only the first so many rows.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it holds no codes, or they are not numbers.
    """
    codes = read_array(path, "codes", limit)
    if not codes.size or not codes.ndim or codes.dtype.kind not in "iuf":
        raise ValueError(f"{path}: 'codes' is {codes.dtype} of shape {codes.shape}, no codes")
    if codes.dtype.kind == "u" and codes.max() > np.iinfo(np.int64).max:
        raise ValueError(f"{path}: 'codes' has values beyond 64 bits with a sign, no codes")
    if codes.dtype.kind == "f" and not -LARGEST <= codes.min() <= codes.max() <= LARGEST:  # false for NaN as well
        raise ValueError(f"{path}: 'codes' has values that are not finite in 32 bits, no codes")
    return torch.from_numpy(codes.astype(np.int64 if codes.dtype.kind in "iu" else np.float32, copy=False))


def read_array(path: Path, name: str, limit: int | None = None) -> np.ndarray:
    """Read one array of numbers of an .npz file.

    Args:
        path: the file.
        name: of the array.
        limit: only the first so many rows; the others are not read.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged, has no array of that name, or one of other things than real numbers, or too large.
    """
    (array,) = array_parts(path, name, limit)
    return array


def array_parts(path: Path, name: str, limit: int | None = None, rows: int | None = None) -> Iterator[np.ndarray]:
    """Yield an array in parts of so many ``rows``, or as one; other arguments and errors are those of ``read_array``.

    An array that is stored by columns is one part. So is an empty one.
    """
    if not path.is_file():
        found = f"'{path}' is no regular file" if path.exists() else f"there is no '{path}'"
        raise FileNotFoundError(f"{found}; give an .npz file with '{name}'")
    try:
        with path.open("rb") as stream, open_zip(stream) as archive:
            names = {member.filename.removesuffix(".npy"): member for member in archive.infolist()}
            if name not in names:
                raise KeyError(name)
            member = names[name]
            if member.flag_bits & 1:
                raise ValueError("it is encrypted")
            if member.compress_type not in METHODS:
                raise ValueError("its compression is none of NumPy's")
            with archive.open(member) as file:
                yield from _parts(file, member.file_size, name, limit, rows)
    except KeyError:
        raise ValueError(f"{path} has no array '{name}'") from None
    except Exception as error:  # zip, zlib, NumPy and its parser of headers raise errors of their own types
        said = first_line(error) if type(error) is ValueError else type(error).__name__
        raise ValueError(f"{path} is no .npz file of plain arrays ({said})") from None


def _parts(file: Any, size: int, name: str, limit: int | None, rows: int | None) -> Iterator[np.ndarray]:
    """Yield an array of an opened .npy file of ``size`` bytes; ValueError for one that a command cannot take."""
    version = np.lib.format.read_magic(file)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers:
        raise ValueError(f"'{name}' has version {version[0]}.{version[1]} of the format")
    shape, by_columns, dtype = readers[version](file)
    if dtype.kind not in "biuf":
        raise ValueError(f"'{name}' holds {KINDS.get(dtype.kind, 'records')}, not real numbers")
    if min(shape, default=0) < 0 or size - file.tell() != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"'{name}' claims the shape {shape}, and the file has other than so many values")
    if limit is not None and shape and not by_columns:
        shape = (min(limit, shape[0]), *shape[1:])
    count = math.prod(shape)
    if count > MAX_VALUES or count * dtype.itemsize > MAX_BYTES:
        raise ValueError(
            f"'{name}' has {count:,} values in {count * dtype.itemsize:,} bytes; at most {MAX_VALUES:,} values in "
            f"{MAX_BYTES:,} bytes are read: give a part with -n, or split the file"
        )
    if rows is None or by_columns or not count or not shape:
        array = np.frombuffer(_read_bytes(file, count * dtype.itemsize), dtype)
        array = array.reshape(shape[::-1]).T if by_columns else array.reshape(shape)
        yield array[:limit] if shape else array
        return
    for first in range(0, shape[0], rows):
        part = (min(rows, shape[0] - first), *shape[1:])
        yield np.frombuffer(file.read(math.prod(part) * dtype.itemsize), dtype).reshape(part)


def _read_bytes(file: Any, size: int) -> bytearray:
    """Read ``size`` bytes of a zip's member in parts: its own ``read`` copies all that it has so far for each part."""
    found, filled = bytearray(size), 0
    while filled < size:
        part = file.read(min(PART, size - filled))
        if not part:
            raise ValueError("it is cut short")
        found[filled : filled + len(part)] = part
        filled += len(part)
    return found


class LevelCheck:
    """Check of images that come in parts: what they are is told by the values of all of them.

    Args:
        place: where they come from, for the messages.
        shape: ``c h w`` that the model takes.

    Attributes:
        images: number of images seen.
    """

    def __init__(self, place: str, shape: Sequence[int]) -> None:
        self.place, self.shape = place, tuple(shape)
        self.images, self.least, self.most = 0, math.inf, -math.inf
        self.whole = False  # integers

    def add(self, part: np.ndarray) -> None:
        """See one part; ValueError for no images, another shape, or NaN."""
        images = self._by_channel(part)
        least, most = float(images.min()), float(images.max())
        if math.isnan(least):
            raise ValueError(f"{self.place} has NaN among its values; images are in [0, 1]")
        self.images, self.whole = self.images + len(images), images.dtype.kind in "iu"
        self.least, self.most = min(self.least, least), max(self.most, most)

    def finish(self) -> None:
        """Check the values of all parts; ValueError for such as are no levels."""
        least, most, place = self.least, self.most, self.place
        if self.whole and most == 1 and least == 0:
            raise ValueError(
                f"{place} has the whole numbers 0 and 1 only; whole numbers are levels 0 to 255: multiply them by 255, "
                "or store them as floats"
            )
        if self.whole and (least < 0 or most > 255):
            raise ValueError(f"{place} has values outside [0, 1]; integers are levels 0 to 255")
        if not self.whole and (least < 0 or most > 1):
            remedy = "(images + 1) / 2" if -1 <= least < 0 and most <= 1 else "images / 255"
            raise ValueError(
                f"{place} has values outside [0, 1], from {least:.4g} to {most:.4g}; levels 0 to 255 as floats become "
                f"images with `/ 255`: store {remedy}"
            )

    def convert(self, part: np.ndarray) -> Tensor:
        """Convert a part to float32 in [0, 1], ``b c h w``; integers are levels 0 to 255."""
        levels = self._by_channel(part).astype(np.float32)
        if self.whole:
            levels /= 255
        return torch.from_numpy(levels)

    def _by_channel(self, images: np.ndarray) -> np.ndarray:
        """Images ``b c h w`` from such, or from ``b h w`` for c = 1."""
        if images.ndim == 3 and self.shape[0] == 1:
            images = images[:, None]
        if images.ndim == 4 and not len(images):
            raise ValueError(f"{self.place} has no images")
        if images.ndim != 4 or images.shape[1:] != self.shape:
            raise ValueError(f"{self.place} {_other_shape(images.shape, self.shape)}")
        return images


def _other_shape(found: Sequence[int], shape: tuple[int, ...]) -> str:
    """What is wrong with the shape of an array of images, and the remedy."""
    if tuple(found) in (shape, shape[1:], (*shape[1:], shape[0])):
        return f"has one image of shape {tuple(found)}: the first axis must be the images, as in `images[None]`"
    said = f"has images of shape {tuple(found[1:])}, the model takes {shape}"
    if tuple(found[1:]) == (*shape[1:], shape[0]):
        return f"{said}; channels come first, as in `images.transpose(0, 3, 1, 2)`"
    return f"{said}; resize them"
