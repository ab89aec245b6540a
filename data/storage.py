"""Files of data sets: finding, downloading, verifying, reading. Errors are one line with the file and the fix."""

from __future__ import annotations

import codecs
import gzip
import hashlib
import io
import os
import pickle
import tempfile
import zipfile
import zlib
from collections.abc import Iterable
from http.client import HTTPException
from pathlib import Path
from typing import Any

import numpy as np

# What the standard library and NumPy raise for damaged content.
READ_ERRORS = (OSError, EOFError, KeyError, RuntimeError, TypeError, ValueError, zlib.error, zipfile.BadZipFile)

# All that a pickle of NumPy arrays refers to. Arrays were pickled under the first name up to NumPy 1.
RECONSTRUCT = np.ndarray(0).__reduce__()[0]
ARRAY_PICKLE = {
    ("numpy.core.multiarray", "_reconstruct"): RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): RECONSTRUCT,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): codecs.encode,
}


def user_cache() -> Path:
    """Return ``$XDG_CACHE_HOME/gumbelzoo``, or ``~/.cache/gumbelzoo``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "gumbelzoo"


def is_writable(folder: Path) -> bool:
    """Return whether files can be written to ``folder``; it is created if possible."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)


class Folders:
    """Folders that are searched for data sets: a root, then the user's cache folder.

    Args:
        root: default ``$GUMBELZOO_DATA``, else the user's cache folder.
    """

    def __init__(self, root: str | None = None) -> None:
        self.root = Path(root or os.environ.get("GUMBELZOO_DATA") or user_cache()).expanduser()

    def find(self, *names: str) -> Path | None:
        """Return the first of ``names`` (relative paths) that exists under the root, else in the cache folder."""
        places = (folder / name for folder in (self.root, user_cache()) for name in names)
        return next((place for place in places if place.exists()), None)

    def fetch(self, name: str, urls: Iterable[str], md5: str) -> Path:
        """Find the file ``name``, or download it into the root (the cache folder if the root is read-only).

        Raises:
            FileNotFoundError: it is missing and could not be downloaded.
        """
        if found := self.find(name):
            return found
        from torchvision.datasets.utils import download_url

        target = (self.root if is_writable(self.root) else user_cache()) / name
        reason = ""
        for url in urls:
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                # Renamed when complete: an interrupted download is never taken for the file.
                with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
                    download_url(url, scratch, target.name, md5)
                    return (Path(scratch) / target.name).replace(target)
            except (OSError, RuntimeError, HTTPException) as error:
                reason = f"{url}: {error}".replace("\n", " ")
        raise FileNotFoundError(
            f"{target} is missing and the download failed ({reason}); put the file there, or set GUMBELZOO_DATA "
            f"or root to a folder that has {name}"
        )


def read_verified(path: Path, md5: str) -> bytes:
    """Read a file whose checksum is ``md5``; ValueError if it is another one."""
    content = path.read_bytes()
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found != md5:
        raise ValueError(f"{path} is corrupt (md5 {found}, not {md5}); delete it and run again to download it anew")
    return content


def read_idx(path: Path, md5: str) -> np.ndarray:
    """Read the uint8 array of a gzipped IDX file, the format of MNIST (LeCun et al. 1998).

    Raises:
        ValueError: wrong checksum, compression, magic number or size.
    """
    content = read_verified(path, md5)
    try:
        raw = gzip.decompress(content)
        if raw[:3] != b"\0\0\x08":
            raise ValueError(f"magic number {raw[:4].hex()}")
        sizes = np.frombuffer(raw, ">u4", count=raw[3], offset=4)
        return np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3]).reshape(sizes)
    except READ_ERRORS as error:
        raise ValueError(f"{path} is not a gzipped IDX file of bytes ({error}); delete it and run again") from error


def read_npz(path: Path, **shapes: tuple[int, ...]) -> dict[str, np.ndarray]:
    """Read integer arrays of an .npz file by name, each with any number of rows of the given shape; never unpickles.

    Raises:
        ValueError: unreadable, or an array is missing or has another type or shape.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in shapes}
    except READ_ERRORS as error:
        raise ValueError(f"{path} is corrupt or not the expected file ({error}); replace it or delete it") from error
    for name, shape in shapes.items():
        array = arrays[name]
        if array.dtype.kind not in "iu" or array.ndim != len(shape) + 1 or array.shape[1:] != shape:
            raise ValueError(f"{path}: {name} is {array.dtype} {array.shape}, not rows of integers {shape}; replace it")
    return arrays


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ARRAY_PICKLE:
            raise ValueError(f"the pickle refers to {module}.{name}, which no NumPy array needs")
        return ARRAY_PICKLE[module, name]


def unpickle_arrays(content: bytes) -> Any:
    """Unpickle NumPy arrays in plain containers, and nothing else: a general unpickler runs any code.

    Raises:
        ValueError: it is no pickle, or refers to anything but arrays.
    """
    try:
        return _ArrayUnpickler(io.BytesIO(content), encoding="latin1").load()
    except pickle.UnpicklingError as error:
        raise ValueError(f"not a pickle of NumPy arrays: {error}") from error
