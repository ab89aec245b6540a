"""Arrays of users, from ``.npz`` files. Shape and type are read before memory is taken, and nothing is unpickled."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..pretrained.untrusted import first_line

MAX_VALUES = 1 << 28
MAX_BYTES = 1 << 30
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
    if not codes.size or codes.dtype.kind not in "iuf":
        raise ValueError(f"{path}: 'codes' is {codes.dtype} of shape {codes.shape}, no codes")
    if codes.dtype.kind == "u" and codes.max() > np.iinfo(np.int64).max:
        raise ValueError(f"{path}: 'codes' has values beyond 64 bits with a sign, no codes")
    return torch.from_numpy(codes.astype(np.int64 if codes.dtype.kind in "iu" else np.float32))


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
    if not path.is_file():
        found = f"'{path}' is no regular file" if path.exists() else f"there is no '{path}'"
        raise FileNotFoundError(f"{found}; give an .npz file with '{name}'")
    try:
        with zipfile.ZipFile(path) as archive:
            names = {member.filename.removesuffix(".npy"): member for member in archive.infolist()}
            if name not in names:
                raise KeyError(name)
            member = names[name]
            if member.flag_bits & 1:
                raise ValueError("it is encrypted")
            if member.compress_type not in METHODS:
                raise ValueError("its compression is none of NumPy's")
            with archive.open(member) as file:
                return _read(file, member.file_size, name, limit)
    except KeyError:
        raise ValueError(f"{path} has no array '{name}'") from None
    except Exception as error:  # zip, zlib, NumPy and its parser of headers raise errors of their own types
        said = first_line(error) if type(error) is ValueError else type(error).__name__
        raise ValueError(f"{path} is no .npz file of plain arrays ({said})") from None


def _read(file: Any, size: int, name: str, limit: int | None) -> np.ndarray:
    """Read an array from an opened .npy file of ``size`` bytes; ValueError for one that a command cannot take."""
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
    values = np.frombuffer(file.read(count * dtype.itemsize), dtype)
    array = values.reshape(shape[::-1]).T if by_columns else values.reshape(shape)
    return array[:limit] if shape else array


def check_levels(images: np.ndarray, place: str, shape: Sequence[int]) -> Tensor:
    """Convert images to float32 in [0, 1], ``b c h w``; whole numbers are levels 0 to 255.

    Args:
        images: ``b c h w``, or ``b h w`` for c = 1.
        place: where they come from, for the message.
        shape: ``c h w`` that the model takes.

    Raises:
        ValueError: no images, another shape, values that are no levels.
    """
    shape = tuple(shape)
    if images.ndim == 3 and shape[0] == 1:
        images = images[:, None]
    if images.ndim == 4 and not len(images):
        raise ValueError(f"{place} has no images")
    if images.ndim != 4 or images.shape[1:] != shape:
        raise ValueError(f"{place} {_other_shape(images.shape, shape)}")
    least, most = images.min(), images.max()
    if images.dtype.kind in "iu":
        if most == 1 and least == 0:
            raise ValueError(
                f"{place} has the whole numbers 0 and 1 only; whole numbers are levels 0 to 255: multiply them by 255, "
                "or store them as floats"
            )
        if least < 0 or most > 255:
            raise ValueError(f"{place} has values outside [0, 1]; integers are levels 0 to 255")
        levels = images.astype(np.float32)
        levels /= 255
        return torch.from_numpy(levels)
    if np.isnan(least):
        raise ValueError(f"{place} has NaN among its values; images are in [0, 1]")
    if least < 0 or most > 1:
        remedy = "(images + 1) / 2" if -1 <= least < 0 and most <= 1 else "images / 255"
        raise ValueError(
            f"{place} has values outside [0, 1], from {least:.4g} to {most:.4g}; levels 0 to 255 as floats become "
            f"images with `/ 255`: store {remedy}"
        )
    return torch.from_numpy(images.astype(np.float32))


def _other_shape(found: Sequence[int], shape: tuple[int, ...]) -> str:
    """What is wrong with the shape of an array of images, and the remedy."""
    if tuple(found) in (shape, shape[1:], (*shape[1:], shape[0])):
        return f"has one image of shape {tuple(found)}: the first axis must be the images, as in `images[None]`"
    said = f"has images of shape {tuple(found[1:])}, the model takes {shape}"
    if tuple(found[1:]) == (*shape[1:], shape[0]):
        return f"{said}; channels come first, as in `images.transpose(0, 3, 1, 2)`"
    return f"{said}; resize them"
