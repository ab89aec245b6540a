"""Levels of many pictures, decoded once into one file that is mapped into memory, however large: uint8 ``n c h w``.

Three files have one name and these endings. A process that is killed leaves a part, with which the next one goes on.

.levels    levels of the pictures that can be read, in their order
.json      all pictures with size and time of change, reasons of those that are refused, checksum of the levels
.part      levels so far; ``.part.json`` says how far
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..storage import checksum
from .decoding import reason, without_warnings
from .folder_tree import PictureFile

try:
    import fcntl
except ImportError:  # Windows: two processes must not decode the same pictures at once there
    fcntl = None  # type: ignore[assignment]

VERSION = 2  # of the layout, and of the rule that makes levels
THREADS = 8
PART_BYTES, PART_FILES = 1 << 25, 256  # levels and pictures between two notes of how far it is
Decode = Callable[[PictureFile], np.ndarray]


@dataclass(frozen=True)
class Decoded:
    """Levels ``n c h w`` of the pictures that can be read, mapped; and reasons by name for each of the others."""

    images: Tensor
    refused: dict[str, str]


def decode_once(path: Path, files: Sequence[PictureFile], shape: tuple[int, int, int], decode: Decode) -> Decoded:
    """Map the levels of pictures, decoded if they are not yet, or if the files have changed.

    Args:
        path: of the three files, without ending.
        files: the pictures. One that is not changed since an earlier call is not decoded again.
        shape: ``c h w`` of each.
        decode: reads a picture as uint8 of that shape; what it raises is a refusal.

    Raises:
        ValueError: no picture can be read, or the levels cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _locked(_at(path, ".lock")):
            index = _read_index(path, shape)
            if index is None or index["files"] != _listed(files):
                index = _decode_all(path, files, shape, decode, index)
            return Decoded(_mapped(path, shape, len(files) - len(index["refused"])), index["refused"])
    except OSError as error:
        said = error.strerror or error
        raise ValueError(
            f"the decoded pictures are not written to {path.parent}: {said}; set XDG_CACHE_HOME to another folder"
        ) from None


def _mapped(path: Path, shape: tuple[int, int, int], rows: int) -> Tensor:
    # Read-only, so that the system reserves no memory for it; torch warns of that, and nothing here writes.
    array = np.memmap(_at(path, ".levels"), np.uint8, "r", shape=(rows, *shape))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.from_numpy(array)


# -- what is there ----------------------------------------------------------------------------------------------------


def _read_index(path: Path, shape: tuple[int, int, int]) -> dict[str, Any] | None:
    """Content of the ``.json`` if the levels are those that it says; None for anything else."""
    levels, part = _at(path, ".levels"), _at(path, ".part")
    try:
        index = json.loads(_at(path, ".json").read_bytes())
        if index["version"] != VERSION or tuple(index["shape"]) != shape:
            return None
        if _signature(levels) != index["signature"] and _signature(part) == index["signature"]:
            part.replace(levels)  # killed just before this
        rows = len(index["files"]) - len(index["refused"])
        if not rows or levels.stat().st_size != rows * math.prod(shape):
            return None
        # A file that was copied or written to is read and compared; reading all of it every time would take minutes.
        if _signature(levels) != index["signature"]:
            if checksum(levels) != index["checksum"]:
                print(f"{levels} is damaged; the pictures are decoded again", file=sys.stderr)
                return None
            _write_json(_at(path, ".json"), index | {"signature": _signature(levels)})
        return index
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _signature(file: Path) -> list[int]:
    """Size and time of the last change; empty without a file."""
    with suppress(OSError):
        found = file.stat()
        return [found.st_size, found.st_mtime_ns]
    return []


# -- decoding ---------------------------------------------------------------------------------------------------------


def _decode_all(
    path: Path,
    files: Sequence[PictureFile],
    shape: tuple[int, int, int],
    decode: Decode,
    old: dict[str, Any] | None,
) -> dict[str, Any]:
    """Write the levels and their index; errors are those of ``decode_once``."""
    listed, part = _listed(files), _at(path, ".part")
    plan = hashlib.sha256(json.dumps([VERSION, shape, listed]).encode()).hexdigest()
    done, refused = _resume(part, plan, shape)
    row_bytes = math.prod(shape)
    needed, free = (len(files) - done) * row_bytes, shutil.disk_usage(path.parent).free
    if needed > free:
        raise ValueError(
            f"the decoded pictures take {needed / 1e9:.1f} GB, and {path.parent} has {free / 1e9:.1f} GB; set "
            "XDG_CACHE_HOME to a folder on a larger disk, or a smaller data.size"
        )
    rows = _earlier_rows(old) if old else {}  # of pictures that are not changed
    images = [_mapped(path, shape, len(rows)).numpy()] if rows else []

    def attempt(file: PictureFile) -> np.ndarray | str:
        if file in rows:
            return images[0][rows[file]]
        try:
            return decode(file)
        except Exception as error:  # what Pillow raises for damaged content has many types
            return reason(error)

    step = max(1, min(PART_FILES, PART_BYTES // row_bytes))
    with part.open("ab") as stream, without_warnings(), _threads() as pool, _bar(len(files), done) as bar:
        for first in range(done, len(files), step):
            chunk = files[first : first + step]
            for file, found in zip(chunk, pool.map(attempt, chunk), strict=True):
                if isinstance(found, str):
                    refused[file.name] = found
                else:
                    stream.write(np.ascontiguousarray(found).data)
            stream.flush()
            os.fsync(stream.fileno())
            _write_json(_at(path, ".part.json"), {"plan": plan, "done": first + len(chunk), "refused": refused})
            bar.update(len(chunk))
    if len(refused) == len(files):
        name, said = next(iter(refused.items()))
        raise ValueError(f"none of the {len(files)} pictures can be read, such as {name} ({said})")
    images.clear()  # a file that is mapped cannot be replaced on Windows
    index = {
        "version": VERSION,
        "shape": shape,
        "files": listed,
        "refused": refused,
        "checksum": checksum(part),
        "signature": _signature(part),
    }
    _write_json(_at(path, ".json"), index)
    part.replace(_at(path, ".levels"))
    _at(path, ".part.json").unlink(missing_ok=True)
    return index


def _resume(part: Path, plan: str, shape: tuple[int, int, int]) -> tuple[int, dict[str, str]]:
    """Number of pictures that an earlier process has done of the same plan, and those that it refused."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        note = json.loads(_at(part, ".json").read_bytes())
        size = (note["done"] - len(note["refused"])) * math.prod(shape)
        if note["plan"] == plan and part.stat().st_size >= size:
            os.truncate(part, size)
            return note["done"], note["refused"]
    part.unlink(missing_ok=True)
    return 0, {}


def _earlier_rows(old: dict[str, Any]) -> dict[PictureFile, int]:
    """Row of each picture in the levels that there are."""
    files = (PictureFile(*entry) for entry in old["files"])
    return {file: row for row, file in enumerate(file for file in files if file.name not in old["refused"])}


@contextmanager
def _threads() -> Iterator[ThreadPoolExecutor]:
    pool = ThreadPoolExecutor(min(THREADS, os.cpu_count() or 1))
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)  # after Ctrl-C, what has not begun


def _bar(total: int, done: int) -> Any:
    from tqdm import tqdm

    return tqdm(total=total, initial=done, unit=" pictures", desc="decoding", disable=None, leave=False, delay=1.0)


# -- files ------------------------------------------------------------------------------------------------------------


def _at(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


def _listed(files: Sequence[PictureFile]) -> list[list[str | int]]:
    return [[file.name, file.size, file.changed] for file in files]  # as JSON has it


def _write_json(path: Path, content: dict[str, Any]) -> None:
    scratch = _at(path, ".tmp")
    scratch.write_text(json.dumps(content), encoding="utf-8")
    scratch.replace(path)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Wait until no other process decodes these pictures. The system drops the lock of one that is killed."""
    with path.open("a") as file:
        if fcntl is not None:
            with suppress(OSError):  # a file system without locks
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    print(f"waiting for another process that has {path}", file=sys.stderr)
                    fcntl.flock(file, fcntl.LOCK_EX)
        yield
