"""NumPy arrays from elsewhere: sizes are read before memory is taken, and nothing is unpickled."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
KINDS = {"c": "complex numbers", "m": "time spans", "M": "dates", "O": "objects", "S": "bytes", "U": "texts"}
PART = 1 << 22  # bytes


def array_names(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """Return the members of an .npz file by the names of their arrays."""
    return {member.filename.removesuffix(".npy"): member for member in archive.infolist()}


@contextmanager
def open_array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Iterator[Any]:
    """Open one array of an .npz file; ValueError for one that is encrypted or compressed in no way of NumPy's."""
    if member.flag_bits & 1:
        raise ValueError("it is encrypted")
    if member.compress_type not in METHODS:
        raise ValueError("its compression is none of NumPy's")
    with archive.open(member) as file:
        yield file


class Header(NamedTuple):
    """Header of an array in the .npy format: shape, whether it is stored by columns, type of its numbers."""

    shape: tuple[int, ...]
    by_columns: bool
    dtype: np.dtype[Any]


def read_header(file: Any, size: int, name: str) -> Header:
    """Read the header of an opened .npy file of ``size`` bytes, which is left at its first value.

    Raises:
        ValueError: another format, other than real numbers, or a shape that does not fit the size.
    """
    version = np.lib.format.read_magic(file)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers:
        raise ValueError(f"'{name}' has version {version[0]}.{version[1]} of the format")
    header = Header(*readers[version](file))
    if header.dtype.kind not in "biuf":
        raise ValueError(f"'{name}' holds {KINDS.get(header.dtype.kind, 'records')}, not real numbers")
    values = math.prod(header.shape)
    if min(header.shape, default=0) < 0 or size - file.tell() != values * header.dtype.itemsize:
        raise ValueError(f"'{name}' claims the shape {header.shape}, and the file has other than so many values")
    return header


def read_values(file: Any, header: Header) -> np.ndarray:
    """Read the values after a header, as one array."""
    size = math.prod(header.shape) * header.dtype.itemsize
    array = np.frombuffer(_read_bytes(file, size), header.dtype)
    return array.reshape(header.shape[::-1]).T if header.by_columns else array.reshape(header.shape)


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
