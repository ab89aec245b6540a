"""``metrics.csv`` of a run: each row is complete on the disk or not there, also after a kill or a full disk."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities.rank_zero import rank_zero_only
from torch import Tensor

from ..pretrained.paths import whole_file
from ..pretrained.run_files import METRICS

ROWS = "metrics_rows"  # key of a checkpoint


class RunCSV(Logger):
    """Log of training and validation metrics; a resumed run goes on with it.

    Args:
        run: folder of ``metrics.csv``.
        rows: of the file before the checkpoint of a resumed run, which writes the later ones again; None keeps all.
    """

    name, version = "", ""  # of folders between the run and its checkpoints: none

    def __init__(self, run: Path, rows: int | None = None) -> None:
        super().__init__()
        self.path = run / METRICS
        self._kept = rows
        self._rows: int | None = None  # in the file; None until it was opened
        self._columns: list[str] = []

    @property
    def save_dir(self) -> str:
        """Folder of the run."""
        return str(self.path.parent)

    def log_hyperparams(self, *_: Any, **__: Any) -> None:
        """Write nothing: ``config.yaml`` has the hyperparameters."""

    @rank_zero_only
    def begin(self) -> None:
        """Drop the rows that are written again; once, and before the first new row at the latest."""
        if self._rows is not None:
            return
        self._columns, rows = read_rows(self.path)
        self._rows = min(len(rows), len(rows) if self._kept is None else self._kept)
        if self.path.exists() and (len(rows) > self._rows or not _is_complete(self.path)):
            self._write(self._columns, rows[: self._rows])

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, Any], step: int | None = None) -> None:
        """Write a row.

        Raises:
            OSError: the disk is full, or the file cannot be written; it names the file, which has what it had.
        """
        self.begin()
        assert self._rows is not None
        values = {name: value.item() if isinstance(value, Tensor) else value for name, value in metrics.items()}
        row = {**values, "step": self._rows if step is None else step}
        if row.keys() <= set(self._columns) and self.path.exists():
            _append(self.path, _csv(self._columns, [row]))
            self._rows += 1
        else:
            self._write(sorted({*self._columns, *row}), [*read_rows(self.path)[1], row])

    def rows_on_disk(self) -> int:
        """Return the number of rows, all of which would survive a loss of power."""
        self.begin()
        if self._rows:
            with self.path.open("rb") as file:
                os.fsync(file.fileno())
        return self._rows or 0

    def _write(self, columns: list[str], rows: list[dict[str, Any]]) -> None:
        header = {name: name for name in columns}
        with whole_file(self.path) as file:
            file.write(_csv(columns, [header, *rows]))
        self._columns, self._rows = columns, len(rows)


def read_rows(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """Return the columns of ``metrics.csv`` and its complete rows; the last line of a killed process may be partial."""
    if not path.exists():
        return [], []
    text = path.read_text(encoding="utf-8", errors="replace").replace("\0", "")
    whole = text[: text.rfind("\n") + 1]
    reader = csv.DictReader(io.StringIO(whole, newline=""))
    rows = [row for row in reader if None not in row and None not in row.values() and _is_row(row)]
    return list(reader.fieldnames or []), rows


def read_metrics(path: Path) -> dict[str, list[tuple[int, float]]]:
    """Return the columns of ``metrics.csv`` as (step, value) pairs, without blanks."""
    series: dict[str, list[tuple[int, float]]] = {}
    for row in read_rows(path)[1]:
        for name, value in row.items():
            if value and name != "step":
                series.setdefault(name, []).append((int(row["step"]), float(value)))
    return series


def rows_before(checkpoint: Mapping[str, Any], batches: int, path: Path) -> int:
    """Return the rows of ``metrics.csv`` before a checkpoint; one of an earlier version tells only its batches."""
    rows = checkpoint.get(ROWS)
    if type(rows) is int and rows >= 0:
        return rows
    return sum(int(row["step"]) < batches for row in read_rows(path)[1])


def _is_row(row: dict[str, str]) -> bool:
    """True if the step is a whole number and the others are numbers or blank."""
    try:
        [float(value) for value in row.values() if value]
        return int(row.get("step", "")) >= 0
    except ValueError:
        return False


def _is_complete(path: Path) -> bool:
    """True if the last line has its end."""
    with path.open("rb") as file:
        if not file.seek(0, os.SEEK_END):
            return False
        file.seek(-1, os.SEEK_END)
        return file.read() == b"\n"


def _csv(columns: list[str], rows: list[dict[str, Any]]) -> bytes:
    text = io.StringIO(newline="")
    csv.DictWriter(text, columns).writerows(rows)
    return text.getvalue().encode("utf-8")


def _append(path: Path, line: bytes) -> None:
    """Add a line, or leave the file as it is."""
    size = path.stat().st_size
    try:
        with path.open("ab") as file:
            file.write(line)
    except OSError as error:
        with suppress(OSError):
            os.truncate(path, size)
        raise type(error)(f"{path} is not written: {error.strerror or error}") from error
