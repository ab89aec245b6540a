"""Pictures of a folder tree: which files they are, in which split, of which class. No pixel is read.

Splits are the first folders ``train``, ``valid`` and ``test``, spelt as in ``split_names``, if ``train`` and another of
them are there, or ``train`` and nothing else. A split without a folder is a tenth of the other pictures, those whose
paths have the lowest hashes. So a picture keeps its split when others are added, and on every machine.

Classes are those of ``labels.csv``, else the names of the first folders, below those of the splits.
"""

from __future__ import annotations

import hashlib
import os
import stat
import unicodedata
from bisect import bisect_left
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..split_names import PARTS, split_of
from .decoding import SUFFIXES, is_picture
from .folder_labels import LABELS, number_classes, read_labels

MAX_ENTRIES = 10**7  # files and folders
MAX_BYTES = 1 << 28  # of a picture


@dataclass(frozen=True)
class PictureFile:
    """A file: its path below the folder, with ``/``; its size in bytes; the time of its last change, in ns."""

    name: str
    size: int
    changed: int


@dataclass(frozen=True)
class PictureTree:
    """Pictures of a folder.

    Attributes:
        parts: files of the training, the validation and the test split, in the order of their names.
        classes: names of the classes in their order; empty without classes.
        class_of: number of the class by file name; empty without classes.
        left_out: reason by name, for each file that is not read.
        rule: how the splits are made.
    """

    parts: tuple[list[PictureFile], ...]
    classes: tuple[str, ...]
    class_of: dict[str, int]
    left_out: dict[str, str]
    rule: str


def read_tree(folder: Path) -> PictureTree:
    """Find the pictures of a folder, their splits and their classes.

    Raises:
        ValueError: too few pictures, too many files, folders that may be splits and are not, or a ``labels.csv`` that
            is not one.
    """
    left_out: dict[str, str] = {}
    files = {file.name: file for file in find_pictures(folder, left_out)}
    labels = read_labels(folder / LABELS, files.keys(), left_out)
    if labels:
        files = {name: file for name, file in files.items() if name in labels}
    given = split_folders(folder, files)
    if given:
        left_out |= dict.fromkeys(files.keys() - given.keys(), "outside the folders of the splits")
        files = {name: file for name, file in files.items() if name in given}
    part_of = dict.fromkeys(files, "train") | given
    held_out = [part for part in PARTS if part not in given.values() and part != "train"]
    rest = [name for name, part in part_of.items() if part == "train"]
    if len(rest) <= len(held_out):
        first = next((f", such as {name or folder} ({why})" for name, why in left_out.items()), "")
        raise ValueError(
            f"{folder} has too few pictures for a training, a validation and a test split, {len(files)}; give more, or "
            f"another folder (files left out: {len(left_out)}{first})"
        )
    part_of |= hold_out_by_hash(rest, held_out)
    parts: tuple[list[PictureFile], ...] = ([], [], [])
    for name in sorted(files):
        parts[PARTS.index(part_of[name])].append(files[name])
    labels = {name: labels[name] for name in files} if labels else folder_classes(files, depth=1 if given else 0)
    classes = number_classes(folder, labels.values())
    numbers = {name: number for number, name in enumerate(classes)}
    class_of = {name: numbers[label] for name, label in labels.items()}
    return PictureTree(parts, classes, class_of, left_out, _rule(held_out))


# -- files ------------------------------------------------------------------------------------------------------------


def find_pictures(folder: Path, left_out: dict[str, str]) -> Iterator[PictureFile]:
    """Yield the pictures below a folder. Links are followed, hidden files passed over, each folder read once.

    Args:
        folder: where to look.
        left_out: gets the reason for each other file or folder.
    """
    waiting, links, seen, entries = [""], deque[str](), set[tuple[int, int]](), 0
    while waiting or links:
        inside = waiting.pop() if waiting else links.popleft()  # links last: a folder has its own name then
        try:
            here = (folder / inside).stat()
            if (here.st_dev, here.st_ino) in seen:
                left_out[inside] = "a link to a folder that is read already"
                continue
            seen.add((here.st_dev, here.st_ino))
            with os.scandir(folder / inside) as scan:
                found = sorted(scan, key=lambda entry: entry.name)
        except OSError as error:
            left_out[inside] = error.strerror or "cannot be read"
            continue
        if (entries := entries + len(found)) > MAX_ENTRIES:
            raise ValueError(f"{folder} has more than {MAX_ENTRIES:,} files; give a part of it")
        for entry in found:
            name = f"{inside}/{entry.name}" if inside else entry.name
            if entry.name.startswith(".") or name == LABELS:
                continue
            try:
                status = entry.stat()
            except OSError:
                left_out[name] = "a link to nothing"
                continue
            if stat.S_ISDIR(status.st_mode):
                (links if entry.is_symlink() else waiting).append(name)
            elif why := _unfit(entry, status):
                left_out[name] = why
            else:
                yield PictureFile(name, status.st_size, status.st_mtime_ns)


def _unfit(entry: os.DirEntry[str], status: os.stat_result) -> str:
    """Why a file is no picture; empty for one. The content of a file with a picture's ending is not looked at."""
    if not stat.S_ISREG(status.st_mode):
        return "no regular file"
    if not status.st_size:
        return "empty"
    if status.st_size > MAX_BYTES:
        return f"more than {MAX_BYTES:,} bytes"
    named = Path(entry.name).suffix.lower() in SUFFIXES
    return "" if named or is_picture(Path(entry.path)) else "no picture"


# -- splits and classes -----------------------------------------------------------------------------------------------


def split_folders(folder: Path, names: Collection[str]) -> dict[str, str]:
    """Return the split of each picture in a split's folder; empty if the folders are none of splits.

    Raises:
        ValueError: a folder of validation or test pictures would be a class, or a part of one.
    """
    found = {name: part for name in names if (part := _split_at(name, 0))}
    parts = set(found.values())
    if "train" in parts and (len(parts) > 1 or len(found) == len(names)):
        return found
    if held_out := sorted({name.partition("/")[0] for name, part in found.items() if part != "train"}):
        raise ValueError(
            f"{folder} has the folder {held_out[0]} and none of training pictures: name that train, or, if it is a "
            f"class, rename {held_out[0]}"
        )
    inner = sorted({name.rpartition("/")[0] for name in names if _split_at(name, 1) not in (None, "train")})
    if inner and any(_split_at(name, 1) == "train" for name in names):
        raise ValueError(
            f"{folder} has a split in {inner[0]}, one folder too deep: give {folder / inner[0].partition('/')[0]}, or "
            "make train and test the first folders, with the classes in them"
        )
    return {}


def _split_at(name: str, depth: int) -> str | None:
    """Split that the folder at a depth of a path is named for, if any."""
    folders = name.split("/")[:-1]
    return split_of(folders[depth]) if len(folders) > depth else None


def hold_out_by_hash(names: Sequence[str], parts: Sequence[str]) -> dict[str, str]:
    """Choose pictures for each of ``parts``, a tenth by the hash of the path, at least one; the split by name."""
    order = sorted((_hash(name), name) for name in names)
    chosen: dict[str, str] = {}
    for tenth, part in enumerate(reversed(parts), 1):
        last = max(len(chosen) + 1, bisect_left(order, (tenth / 10, "")))
        chosen |= dict.fromkeys([name for _, name in order[len(chosen) : last]], part)
    return chosen


def _hash(name: str) -> float:
    """A number in [0, 1) that is a path's own, in any spelling of its letters."""
    path = unicodedata.normalize("NFC", name).encode("utf-8", "surrogateescape")
    return int.from_bytes(hashlib.sha256(path).digest()[:6], "big") / 2**48


def _rule(held_out: Sequence[str]) -> str:
    """How splits are made."""
    folders = " and ".join(f"'{part}'" for part in PARTS if part not in held_out)
    tenth = " and ".join({"valid": "validation", "test": "test"}[part] for part in held_out)
    made = f"a tenth for {tenth}, those whose paths have the lowest SHA-256" if held_out else ""
    return made if len(held_out) == 2 else "; ".join(filter(None, [f"the folders {folders}", made]))


def folder_classes(names: Collection[str], depth: int) -> dict[str, str]:
    """Return the folder at a depth of each path, by path; empty unless every picture is in one."""
    found = {name: name.split("/")[depth] for name in names if name.count("/") > depth}
    return found if len(found) == len(names) else {}
