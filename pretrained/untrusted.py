"""Checks of files from elsewhere: where they lie, what JSON they hold, which sizes they name; torch is not imported."""

from __future__ import annotations

import json
import math
import os
import unicodedata
from io import BytesIO
from pathlib import Path
from typing import IO, Any

from ..archives import open_zip
from .pickles import MAX_PICKLE_BYTES, check_pickle

MAX_CONFIG_BYTES = 1 << 22
MAX_CHECKPOINT_BYTES = 4 << 31  # the largest weights, their averages, and two moments of each
MAX_NUMBER = 10**7  # largest whole number in a model's arguments: sizes and counts
MAX_SAMPLES = 10**5  # of each example
MAX_NUMBERS = 256  # longest list in a model's arguments, except lists of texts such as a vocabulary
MAX_DEPTH = 16
MAX_MESSAGE = 400  # characters quoted from a foreign file
COMMANDS = ("Cc", "Cs", "Zl", "Zp")  # Unicode categories: controls, halves of characters, ends of lines, paragraphs
DIRECTIONS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")  # embeddings, overrides


def first_line(error: BaseException) -> str:
    """Return an error's message as one printable line."""
    lines = str(error).strip().splitlines()
    text = printable(lines[0] if lines else type(error).__name__)
    return text if len(text) <= MAX_MESSAGE else f"{text[:MAX_MESSAGE]}..."


def printable(text: str) -> str:
    """Replace characters that a terminal would obey: controls, line ends, and those that turn the direction of text.

    Joiners, marks and spaces of every script are kept: without them a word is another one.
    """
    return "".join("\N{REPLACEMENT CHARACTER}" if _commands(letter) else letter for letter in text)


def _commands(letter: str) -> bool:
    return unicodedata.category(letter) in COMMANDS or letter in DIRECTIONS


def resolve_inside(folder: Path, name: str) -> Path:
    """Return the real path of a file that lies in ``folder``, or in the hub cache that the folder links to.

    Raises:
        ValueError: there is no such file, it is no regular file, or a link leads out of the folder.
    """
    try:
        home = folder.resolve()
        path = (home / name).resolve()
    except (OSError, RuntimeError) as error:  # a circle of links
        raise ValueError(f"{name} leads nowhere: {first_line(error)}") from None
    cached = home.parent.name == "snapshots" and path.parent == home.parent.parent / "blobs"
    if path.parent != home and not cached:
        raise ValueError(f"{name} is a link that leads out of the folder; only files inside it are read")
    if not path.exists():
        raise ValueError(f"{name} is missing")
    if not path.is_file():
        raise ValueError(f"{name} is no file")
    return path


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON file; errors are those of ``parse_json``."""
    if path.stat().st_size > MAX_CONFIG_BYTES:
        raise ValueError(f"it is larger than {MAX_CONFIG_BYTES} bytes")
    return parse_json(path.read_bytes())


def parse_json(data: bytes) -> dict[str, Any]:
    """Parse one JSON object of finite numbers and bounded depth.

    Raises:
        ValueError: not UTF-8, not JSON, no object, a repeated key, NaN or infinity, too deep.
    """
    try:
        content = json.loads(data.decode("utf-8"), object_pairs_hook=_unique_keys)
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(content, dict):
        raise ValueError("it must hold one JSON object")
    _check_json(content)
    return content


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"the key '{name}' is there twice")
        found[name] = value
    return found


def _check_json(value: Any, key: str = "", depth: int = 0) -> None:
    """ValueError naming the key of a number that is not finite, of half a character, or of too deep a nesting."""
    if depth > MAX_DEPTH:
        raise ValueError(f"'{key}' is nested too deeply")
    if isinstance(value, dict):
        for name, item in value.items():
            _check_json(name, key)
            _check_json(item, _join(key, name).lstrip("."), depth + 1)
    elif isinstance(value, list):
        for item in value:
            _check_json(item, key, depth + 1)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"'{key}' is {value}, no finite number")
    elif isinstance(value, str) and not value.isascii():
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            raise ValueError(f"'{key[:40]}' holds half a character") from None


def _join(key: str, name: str) -> str:
    """Dotted name, not longer than a message shows: a long key over many values would take quadratic time."""
    return f"{key[:MAX_MESSAGE]}.{name[:MAX_MESSAGE]}"


def check_archive(file: IO[bytes] | BytesIO) -> None:
    """Check that an opened zip file of tensors takes no more memory than its size on disk, and is as it was written.

    ``torch.load`` compares no checksum: weights with other bits in them would be trained on.

    Raises:
        ValueError: it is too large; it has compressed or overlapping entries, or calls, as no checkpoint has; or a
            checksum is wrong.
        zipfile.BadZipFile: no zip file.
    """
    size = file.seek(0, os.SEEK_END)
    if size > MAX_CHECKPOINT_BYTES:
        raise ValueError(f"it is larger than {MAX_CHECKPOINT_BYTES:,} bytes")
    with open_zip(file) as archive:
        entries = archive.infolist()
        if sum(entry.file_size for entry in entries) > size:
            raise ValueError("it unpacks to more than its own size")
        for entry in entries:
            if entry.filename.endswith("/data.pkl"):
                if entry.file_size > MAX_PICKLE_BYTES:
                    raise ValueError(f"it holds more than {MAX_PICKLE_BYTES:,} bytes beside its tensors")
                check_pickle(archive.read(entry))
        if damaged := archive.testzip():
            raise ValueError(f"the checksum of {damaged} is wrong; copy it again, or take another checkpoint")


def check_arguments(value: Any, key: str = "arguments") -> None:
    """Check a model's arguments at every level of their specs.

    Raises:
        ValueError: an import path, a number or a list beyond reason; the key is named.
    """
    if isinstance(value, dict):
        if "class_path" in value:
            raise ValueError(f"'{key}.class_path' is an import path; parts of a model are given by name")
        for name, item in value.items():
            check_arguments(item, _join(key, name))
    elif isinstance(value, list):
        if len(value) > MAX_NUMBERS and not all(isinstance(item, str) for item in value):
            raise ValueError(f"'{key}' lists {len(value)} values, more than {MAX_NUMBERS}")
        for item in value:
            check_arguments(item, key)
    elif isinstance(value, int) and abs(value) > MAX_NUMBER:
        size = f"{value:.3g}" if abs(value) < 1e300 else "of many digits"  # beyond 1e308 no float can show it
        raise ValueError(f"'{key}' is {size}, beyond {MAX_NUMBER}")
    elif isinstance(value, int) and key.endswith("samples") and value > MAX_SAMPLES:
        raise ValueError(f"'{key}' is {value}, beyond {MAX_SAMPLES}")
