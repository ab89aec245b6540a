"""Paths that users give: ``~`` is their home folder, and a file is written whole or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

SCRATCH = ".gumbelzoo-{}.tmp"  # name of a file that is being written


def user_path(given: str | Path) -> Path:
    """Return the path that a user means, with the home folder in the place of ``~``.

    Raises:
        ValueError: no file can have that name: an unknown user's home, a NUL, too long a name, a circle of links.
    """
    try:
        path = Path(given).expanduser()
        path.stat()
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return path
    except (OSError, RuntimeError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        text = str(given)
        shown = text if len(text) <= 80 else f"{text[:80]}..."
        raise ValueError(f"'{shown}' is no path: {reason}") from None
    return path


def same_file(one: Path, other: Path) -> bool:
    """True for two paths of one existing file, through links, capitals or relative parts."""
    try:
        return one.samefile(other)
    except OSError:
        return False


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file for writing that takes the place of ``path`` once it is complete.

    Until then, and after any error, what was there stays. A link is kept, and the file that it leads to is replaced.

    Raises:
        OSError: it cannot be written; the error names ``path``.
    """
    target = path.resolve()
    scratch = target.with_name(SCRATCH.format(secrets.token_hex(4)))
    with _named_in_errors(path):
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with scratch.open("xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            if target.exists():
                shutil.copymode(target, scratch)
            scratch.replace(target)
        finally:
            with suppress(OSError):
                scratch.unlink()


@contextmanager
def _named_in_errors(path: Path) -> Iterator[None]:
    """Name what is being written in an error of the system: that of a full disk names no file."""
    try:
        yield
    except OSError as error:
        raise type(error)(f"{path} is not written: {error.strerror or error}") from error


def check_new(folder: Path) -> None:
    """Check that there is no such folder yet, else ValueError."""
    if folder.exists() or folder.is_symlink():
        raise ValueError(f"{folder} exists already and is not overwritten; choose another name or remove it")


def write_new_folder(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Write files by name into a new folder, which is there whole or not at all.

    Raises:
        ValueError: the folder exists.
        OSError: it cannot be written; the error names ``folder``.
    """
    check_new(folder)
    with _named_in_errors(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as scratch:
            written = Path(scratch) / folder.name
            written.mkdir()
            for name, content in contents.items():
                (written / name).write_bytes(content)
            check_new(folder)
            written.rename(folder)


def remove_scratch(folder: Path) -> None:
    """Remove the half-written files of processes that were killed, below a folder that is not in use."""
    for path in folder.rglob(SCRATCH.format("*")):
        with suppress(OSError):
            path.unlink()
