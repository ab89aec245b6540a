"""Finding, checking and fetching the files of a data set. Every fault is one line that names the file and the fix."""

from __future__ import annotations

import gzip
import hashlib
import os
import tempfile
import zipfile
import zlib
from collections.abc import Iterable
from http.client import HTTPException
from pathlib import Path

import numpy as np

BROKEN = (OSError, EOFError, KeyError, RuntimeError, TypeError, ValueError, zlib.error, zipfile.BadZipFile)


def user_cache() -> Path:
    """``$XDG_CACHE_HOME/gumbelzoo``, or ``~/.cache/gumbelzoo``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "gumbelzoo"


def writable(folder: Path) -> bool:
    """Whether files can be put into ``folder``, which is made if need be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)


class Folders:
    """Where data sets lie: ``root``, else ``$GUMBELZOO_DATA``, else the user's cache folder (always searched last)."""

    def __init__(self, root: str | None = None) -> None:
        self.root = Path(root or os.environ.get("GUMBELZOO_DATA") or user_cache()).expanduser()

    def find(self, *names: str) -> Path | None:
        """The first of ``names`` (relative paths) that exists under the root, or else in the cache folder."""
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

        target = (self.root if writable(self.root) else user_cache()) / name
        reason = ""
        for url in urls:
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                # Renamed when complete: what an interrupted download leaves behind is never taken for the file.
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
    """The bytes of a file.

    Raises:
        ValueError: its checksum is not ``md5``.
    """
    content = path.read_bytes()
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found != md5:
        raise ValueError(f"{path} is corrupt (md5 {found}, not {md5}); delete it and run again to download it anew")
    return content


def read_idx(path: Path, md5: str) -> np.ndarray:
    """The uint8 array in a gzipped IDX file, the format of MNIST (LeCun et al. 1998).

    Raises:
        ValueError: the checksum, the compression, the magic number or the size is wrong.
    """
    content = read_verified(path, md5)
    try:
        raw = gzip.decompress(content)
        if raw[:3] != b"\0\0\x08":
            raise ValueError(f"magic number {raw[:4].hex()}")
        sizes = np.frombuffer(raw, ">u4", count=raw[3], offset=4)
        return np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3]).reshape(sizes)
    except BROKEN as error:
        raise ValueError(f"{path} is not a gzipped IDX file of bytes ({error}); delete it and run again") from error


def read_npz(path: Path, **shapes: tuple[int, ...]) -> dict[str, np.ndarray]:
    """The named integer arrays of an .npz file, each with any number of rows of the given shape; never unpickles.

    Raises:
        ValueError: unreadable, or an array is missing or has another type or shape.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in shapes}
    except BROKEN as error:
        raise ValueError(f"{path} is corrupt or not the expected file ({error}); replace it or delete it") from error
    for name, shape in shapes.items():
        array = arrays[name]
        if array.dtype.kind not in "iu" or array.ndim != len(shape) + 1 or array.shape[1:] != shape:
            raise ValueError(f"{path}: {name} is {array.dtype} {array.shape}, not rows of integers {shape}; replace it")
    return arrays
