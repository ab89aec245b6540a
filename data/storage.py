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
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any

import numpy as np

# What the standard library and NumPy raise for damaged content.
READ_ERRORS = (OSError, EOFError, KeyError, RuntimeError, TypeError, ValueError, zlib.error, zipfile.BadZipFile)

IDX_BYTES = 2**26  # most bytes of an unpacked IDX file; MNIST's largest has 47 million

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
    """Return whether files can be written to ``folder``, which need not exist; nothing is created."""
    nearest = next(place for place in (folder, *folder.absolute().parents) if place.exists() or place.is_symlink())
    return nearest.is_dir() and os.access(nearest, os.W_OK)


@contextmanager
def made_folder(folder: Path) -> Iterator[None]:
    """Make a folder for the block; if the block fails, what was made is removed again."""
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        for place in made:
            with suppress(OSError):  # another process may have put a file there
                place.rmdir()
        raise


class Folders:
    """Folders that are searched for data sets: a root, then the user's cache folder.

    Args:
        root: default ``$GUMBELZOO_DATA``, else the user's cache folder.

    Attributes:
        given: the root as given, None for the default.
    """

    def __init__(self, root: str | None = None) -> None:
        self.given = root
        self.root = Path(root or os.environ.get("GUMBELZOO_DATA") or user_cache()).expanduser()

    def find(self, *names: str, folder: bool = False) -> Path | None:
        """Return the first of ``names`` (relative paths) that exists under the root, else in the cache folder.

        Args:
            names: relative paths.
            folder: whether they are folders, instead of files.

        Raises:
            ValueError: it exists and is something else, such as a named pipe, which would never end.
        """
        places = (place / name for place in (self.root, user_cache()) for name in names)
        found = next((place for place in places if place.exists()), None)
        if found is not None and not (found.is_dir() if folder else found.is_file()):
            raise ValueError(f"{found} is no {'folder' if folder else 'regular file'}; move it away")
        return found

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
                # Renamed when complete: an interrupted download is never taken for the file.
                with made_folder(target.parent), tempfile.TemporaryDirectory(dir=target.parent) as scratch:
                    download_url(url, scratch, target.name, md5)
                    return (Path(scratch) / target.name).replace(target)
            except (OSError, RuntimeError, HTTPException) as error:
                reason = f"{url}: {error}".replace("\n", " ")
        raise FileNotFoundError(
            f"{target} is missing and the download failed ({reason}); put the file there, or set GUMBELZOO_DATA "
            f"or root to a folder that has {name}"
        )


def checksum(file: Path) -> str:
    """Return the SHA-256 of a file's content, as hexadecimal digits."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def read_verified(path: Path, md5: str) -> bytes:
    """Read a file whose checksum is ``md5``; ValueError if it is another one, or no regular file."""
    if path.exists() and not path.is_file():
        raise ValueError(f"{path} is no regular file; move it away")
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
        return parse_idx(gzip.decompress(content))
    except READ_ERRORS as error:
        raise ValueError(f"{path} is not a gzipped IDX file of bytes ({error}); delete it and run again") from error


def read_unpacked_idx(path: Path, md5: str) -> np.ndarray:
    """Read the uint8 array of an IDX file, gzipped if its name ends in .gz.

    Args:
        path: file of at most ``IDX_BYTES`` once unpacked.
        md5: checksum of the unpacked content.

    Raises:
        ValueError: another content.
    """
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file:
            raw = file.read(IDX_BYTES + 1)
    except READ_ERRORS as error:
        raise ValueError(f"{path} is damaged ({error}); replace it or move it away") from error
    if (found := hashlib.md5(raw, usedforsecurity=False).hexdigest()) != md5:
        raise ValueError(
            f"{path} is another file than the original of that name (md5 of its content {found}, not {md5}); "
            "replace it or move it away"
        )
    return parse_idx(raw)


def parse_idx(raw: bytes) -> np.ndarray:
    """Read the uint8 array of an IDX file's content; one of ``READ_ERRORS`` for another type or size."""
    if raw[:3] != b"\0\0\x08":
        raise ValueError(f"magic number {raw[:4].hex()}")
    sizes = np.frombuffer(raw, ">u4", count=raw[3], offset=4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3]).reshape(sizes)


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
