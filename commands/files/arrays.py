"""Arrays of users, from ``.npz`` files. Shape and type are read before memory is taken, and nothing is unpickled."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...archives import open_zip
from ...data.images.levels import Levels
from ...data.npy import array_names, open_array, read_header, read_values
from ...pretrained.untrusted import first_line

MAX_VALUES = 1 << 27  # as codes, of 8 bytes each, 1 GiB
MAX_BYTES = 1 << 30
LARGEST = float(np.finfo(np.float32).max)


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
    if codes.dtype.kind == "f" and not -LARGEST <= float(codes.min()) <= float(codes.max()) <= LARGEST:  # NaN too
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
            member = array_names(archive)[name]
            with open_array(archive, member) as file:
                yield from _parts(file, member.file_size, name, limit, rows)
    except KeyError:
        raise ValueError(f"{path} has no array '{name}'") from None
    except Exception as error:  # zip, zlib, NumPy and its parser of headers raise errors of their own types
        said = first_line(error) if type(error) is ValueError else type(error).__name__
        raise ValueError(f"{path} is no .npz file of plain arrays ({said})") from None


def _parts(file: Any, size: int, name: str, limit: int | None, rows: int | None) -> Iterator[np.ndarray]:
    """Yield an array of an opened .npy file of ``size`` bytes; ValueError for one that a command cannot take."""
    header = read_header(file, size, name)
    shape = header.shape
    if limit is not None and shape and not header.by_columns:
        shape = (min(limit, shape[0]), *shape[1:])
    count = math.prod(shape)
    size = count * header.dtype.itemsize
    if count > MAX_VALUES or size > MAX_BYTES:
        raise ValueError(
            f"'{name}' has {count:,} values in {size:,} bytes; at most {MAX_VALUES:,} values in {MAX_BYTES:,} bytes "
            "are read: give a part with -n, or split the file"
        )
    if rows is None or header.by_columns or not count or not shape:
        array = read_values(file, header._replace(shape=shape))
        yield array[:limit] if shape else array
        return
    for first in range(0, shape[0], rows):
        part = (min(rows, shape[0] - first), *shape[1:])
        yield read_values(file, header._replace(shape=part))


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
        self.images = 0
        self._levels = Levels(place)

    def add(self, part: np.ndarray) -> None:
        """See one part; ValueError for no images, another shape, or NaN."""
        images = self._by_channel(part)
        self._levels.add(images)
        self.images += len(images)

    def finish(self) -> None:
        """Check the values of all parts; ValueError for such as are no levels."""
        self._levels.finish()

    def convert(self, part: np.ndarray) -> Tensor:
        """Convert a part to float32 in [0, 1], ``b c h w``; integers are levels 0 to 255."""
        return torch.from_numpy(self._levels.to_float(self._by_channel(part)))

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
