"""Lines of text with their labels, from a file, a folder of files, or lists in memory."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, islice, zip_longest
from pathlib import Path
from typing import Any, NamedTuple

from ...pretrained.untrusted import printable
from ..left_out import some
from ..split_names import split_of
from .lines import MAX_BYTES, MAX_LINE_BYTES, clean_line, read_lines, regular_file

MEMORY = "text in memory"
SUFFIX = ".txt"
MAX_FILES = 1 << 16
BETWEEN = " / "  # lines of a sequence, as verse is quoted in prose
LABELS = ("tab", "files")  # where a line's label is: before it, or its file's name
WANTED_LABELS = "labels is tab, for lines of label<TAB>text, or files, for a folder with a file or folder of each class"


class Line(NamedTuple):
    """Line of text, or several joined: what it comes from, its number there, its label, and the number of its last."""

    file: str
    number: int
    text: str
    label: str | None = None
    last: int | None = None

    @property
    def place(self) -> str:
        """Where it is, as messages name it."""
        return f"{self.file} line {self.number}" + (f" to {self.last}" if self.last else "")


def file_lines(path: Path, labels: str | None = None, labels_path: str | None = None) -> Iterator[Line]:
    """Yield the lines of a file that are not blank.

    Args:
        path: the file.
        labels: ``tab`` for lines of a label, a TAB and the text.
        labels_path: file with the label of each line, blank ones included.

    Raises:
        ValueError: a line without its label; errors of ``read_lines``.
    """
    lines = (Line(str(path), number, text) for number, text in read_lines(path))
    if labels_path:
        return _with_labels(lines, Path(labels_path))
    return map(split_label, lines) if labels == "tab" else lines


def _with_labels(lines: Iterator[Line], path: Path) -> Iterator[Line]:
    """Add the label of the same number to each line."""
    labels = read_lines(regular_file(path))
    number, label = 0, ""
    for line in lines:
        while number < line.number:
            number, label = next(labels, (sys.maxsize, ""))
        if number != line.number:
            raise ValueError(f"{path} has no label in line {line.number}, and {line.file} has text there")
        yield line._replace(label=label)
    if left := next(labels, None):
        raise ValueError(f"{path} goes on with line {left[0]}, after the last text; give a label for each line")


def split_label(line: Line) -> Line:
    """Take the label before a TAB off a line; ValueError if there is none."""
    label, tab, text = line.text.partition("\t")
    if not tab or not label.strip() or not text.strip():
        raise ValueError(f"{line.place} is no label<TAB>text; add the label, or leave out labels")
    return line._replace(text=text.strip(), label=label.strip())


def text_files(folder: Path, left_out: dict[str, str]) -> list[Path]:
    """Return the .txt files in a folder and below it, sorted. Links are followed, each folder is read once.

    Args:
        folder: where to look.
        left_out: gets the reason for each other file that is not hidden, by its name.

    Raises:
        ValueError: none, too many, or too large ones; or files of several splits.
    """
    texts: list[Path] = []
    others: dict[str, str] = {}
    for file in sorted(_files(folder)):
        if file.suffix.lower() == SUFFIX and file.exists():
            texts.append(file)
        else:
            name = printable(str(file.relative_to(folder)))
            others[name] = f"no {SUFFIX} file" if file.exists() else "a link to nothing"
    left_out |= others
    if not texts:
        found = f"; it has {some(list(others))}" if others else ""
        raise ValueError(f"{folder} has no {SUFFIX} file in it{found}; give UTF-8 text files of one sentence a line")
    if len(texts) > MAX_FILES:
        raise ValueError(f"{folder} has {len(texts):,} {SUFFIX} files, more than {MAX_FILES:,}; join them")
    if (size := sum(regular_file(file).stat().st_size for file in texts)) > MAX_BYTES:
        raise ValueError(f"the {SUFFIX} files of {folder} have {size:,} bytes, more than {MAX_BYTES:,}; give a part")
    first = sorted({file.relative_to(folder).parts[0] for file in texts})
    named = {split: name for name in first if (split := split_of(name.lower().removesuffix(SUFFIX)))}
    if "train" in named and len(named) > 1:
        train, other = named.pop("train"), named.get("test") or named["valid"]
        raise ValueError(
            f"{folder} has {train} and {other}, which would be joined: give path {folder / train} and test_path "
            f"{folder / other}, or rename them"
        )
    return texts


def _files(folder: Path) -> Iterator[Path]:
    """Files in a folder and below it that are not hidden."""
    seen: set[tuple[int, int]] = set()
    for place, inside, names in os.walk(folder, onerror=_unreadable, followlinks=True):
        status = Path(place).stat()
        if (status.st_dev, status.st_ino) in seen:  # through a link
            inside.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        inside.sort(key=lambda name: (Path(place, name).is_symlink(), name))  # a folder has its own name then
        yield from (Path(place, name) for name in names if not name.startswith("."))


def _unreadable(error: OSError) -> None:
    raise ValueError(f"{error.filename} cannot be read ({error.strerror}); make it readable, or move it away")


def folder_lines(folder: Path, files: Sequence[Path], labels: str | None = None) -> Iterator[Line]:
    """Yield the lines of several files.

    Args:
        folder: where they are.
        files: from ``text_files``.
        labels: ``tab`` as in a file; ``files`` for the first part of each path: ``pos/1.txt`` and ``pos.txt`` are of
            class pos.
    """
    for file in files:
        label = file.relative_to(folder).parts[0].removesuffix(file.suffix) if labels == "files" else None
        for line in file_lines(file, labels if labels == "tab" else None):
            yield line if label is None else line._replace(label=label)


def join_lines(lines: Iterable[Line], n: int) -> Iterator[Line]:
    """Join each ``n`` consecutive lines of a file by `` / ``; the last of a file may be fewer.

    Raises:
        ValueError: lines with labels, of which a sequence of several has no one.
    """
    if n == 1:
        yield from lines
        return
    for _, part in groupby(lines, key=lambda line: line.file):
        while group := list(islice(part, n)):
            first = group[0]
            if first.label is not None:
                raise ValueError(
                    f"{first.place} has a label, and no sequence of lines_per_sequence={n} has one; "
                    "leave out labels, or lines_per_sequence"
                )
            yield first._replace(text=BETWEEN.join(line.text for line in group), last=group[-1].number)


def given_lines(texts: Iterable[Any], labels: Any, source: str) -> Iterator[Line]:
    """Yield the texts of a list that are not blank.

    Raises:
        ValueError: something else than text, more or fewer labels than texts, a text that is too long; errors of
            ``clean_line``.
    """
    missing = object()
    labels = labels.tolist() if hasattr(labels, "tolist") else labels  # numbers of an array or tensor
    pairs = ((text, None) for text in texts) if labels is None else zip_longest(texts, labels, fillvalue=missing)
    for number, (text, label) in enumerate(pairs, 1):
        place = f"{source} line {number}"
        if text is missing or label is missing:
            raise ValueError(f"{place} has {'no text' if text is missing else 'no label'}; give as many of both")
        if not isinstance(text, str):
            raise ValueError(f"{place} is a {type(text).__name__}, no text; give a list of strings")
        if len(text) > MAX_LINE_BYTES:
            raise ValueError(f"{place} is longer than {MAX_LINE_BYTES:,} characters; split it")
        if any("\ud800" <= letter <= "\udfff" for letter in text):
            raise ValueError(f"{place} has half a character; decode it again from its bytes")
        if line := clean_line(text, place):
            yield Line(source, number, line, None if label is None else str(label))
