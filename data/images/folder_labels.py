"""Classes of pictures: a file ``labels.csv`` with the columns ``file`` and ``label``, and the order of their names."""

from __future__ import annotations

import csv
import unicodedata
from collections.abc import Collection, Iterable
from pathlib import Path, PurePosixPath

from ..class_order import ordered

LABELS = "labels.csv"
MAX_BYTES = 1 << 29
MAX_CLASSES = 10_000


def read_labels(path: Path, pictures: Collection[str], left_out: dict[str, str]) -> dict[str, str]:
    """Return the label of each picture by name; empty if there is no such file.

    Args:
        path: a CSV file, UTF-8. ``file`` is the path of a picture below the folder.
        pictures: names of the pictures that there are.
        left_out: gets the reason for each picture without a label, and each label without a picture.

    Raises:
        ValueError: other columns, a line without a file or label, a file named twice, no label of any picture.
    """
    if not path.is_file():
        return {}
    try:
        labels = dict(_lines(path))
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not UTF-8; save it as UTF-8") from None
    except (OSError, csv.Error, ValueError) as error:
        raise ValueError(f"{path}: {error}") from None
    names = {picture: _composed(picture) for picture in pictures}
    found = {picture: labels[name] for picture, name in names.items() if name in labels}
    nowhere = labels.keys() - set(names.values()) - set(map(_composed, left_out))
    left_out |= dict.fromkeys(names.keys() - found.keys(), f"no line in {LABELS}")
    left_out |= dict.fromkeys(nowhere, f"in {LABELS}, and no such file")
    if not found:
        raise ValueError(f"{path} names none of the pictures; give their paths below the folder")
    return found


def _composed(name: str) -> str:
    """A path in the normal form NFC: a Mac may have split its accents from their letters."""
    return unicodedata.normalize("NFC", name)


def _lines(path: Path) -> Iterable[tuple[str, str]]:
    """Yield file, in the normal form NFC, and label of each line."""
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"it has more than {MAX_BYTES:,} bytes")
    seen = set()
    with path.open(encoding="utf-8-sig", newline="") as stream:
        rows = csv.DictReader(stream, strict=True)
        given = list(rows.fieldnames or ())
        rows.fieldnames = [column.strip().lower() for column in given]
        if not {"file", "label"} <= set(rows.fieldnames):
            raise ValueError(f"its first line must name the columns file,label, and is {','.join(given)[:80]!r}")
        for row in rows:
            file, label = (str(row[column] or "").strip() for column in ("file", "label"))
            if not file or not label:
                raise ValueError(f"line {rows.line_num} has no file or no label; fill it in, or remove the line")
            name = _composed(str(PurePosixPath(file.replace("\\", "/"))))
            if name in seen:
                raise ValueError(f"line {rows.line_num} names {name} again; give each file one label")
            seen.add(name)
            yield name, label


def number_classes(folder: Path, labels: Iterable[str]) -> tuple[str, ...]:
    """Return the classes in their order: that of numbers if all are whole numbers, else that of letters.

    Raises:
        ValueError: more classes than a model can have.
    """
    names = set(labels)
    if len(names) > MAX_CLASSES:
        raise ValueError(f"{folder} has {len(names):,} different labels; at most {MAX_CLASSES:,} classes are read")
    return tuple(ordered(names))
