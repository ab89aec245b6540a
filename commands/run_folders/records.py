"""What run folders say of themselves, read without torch.

They may come from elsewhere, or be written just now: sizes are bounded, and what cannot be read is said in ``problem``.
"""

from __future__ import annotations

import csv
import math
import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...archives import open_zip
from ...pretrained.plain_yaml import read_yaml
from ...pretrained.run_files import CHECKPOINTS, CONFIG, FIT, METRICS, TEST, checkpoint_path
from ...pretrained.untrusted import first_line, printable, read_json
from .lock import is_held

MAX_METRICS_BYTES = 1 << 26
MAX_PICKLE_BYTES = 1 << 22  # of a checkpoint, without its tensors
MONITOR = re.compile(rb"BestCheckpoint\{'monitor': '([\w/.-]{1,100})', 'mode': '(min|max)'")
HIGHER_IS_BETTER = ("accuracy", "usage", "active_latents")  # last parts of metrics that are maximized
# Options that change no result: places, and what is shown.
NEUTRAL = re.compile(
    r"(wandb|checkpoint_every|data\.root|trainer\.(default_root_dir|logger|enable_\w+|log_every_n_steps|barebones))(\.|$)"
)
STATES = ("training", "finished", "interrupted", "ended", "unreadable")


@dataclass(frozen=True)
class Metric:
    """A validation metric by which runs are compared."""

    name: str
    lower_is_better: bool = True

    @classmethod
    def of(cls, text: str) -> Metric:
        """Read ``NAME``, ``NAME:min`` or ``NAME:max``."""
        name, _, goal = text.partition(":")
        if goal not in ("", "min", "max"):
            raise ValueError(f"'{text}' must end with :min or :max, or be a name alone")
        return cls(name, goal == "min" if goal else name.rpartition("/")[2] not in HIGHER_IS_BETTER)

    @property
    def order(self) -> str:
        """Words for the head of a table."""
        return f"{self.name}, {'lowest' if self.lower_is_better else 'highest'} first"


@dataclass
class Record:
    """Content of a run folder.

    Attributes:
        folder: of the run.
        state: one of ``STATES``; a run that ended under an earlier version does not say whether it finished.
        problem: what could not be read; empty if all was.
        options: configuration without what changes no result; a part is its name, and its options by dotted names.
        batches: training batches.
        minutes: of training; None of a run that did not end by itself.
        monitor: metric that selects ``best.ckpt``; None if there is none.
        curves: validation metrics, as pairs of training batches and value.
        tested: content of ``test.json``; empty if there is none, or if it cannot be read.
        untested: why ``test.json`` could not be read; empty if it was, or if there is none.
        changed: time of the last change, in seconds since 1970.
    """

    folder: Path
    state: str = "unreadable"
    problem: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    batches: int | None = None
    minutes: float | None = None
    monitor: Metric | None = None
    curves: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    tested: dict[str, Any] = field(default_factory=dict)
    untested: str = ""
    changed: float = 0.0

    @property
    def model(self) -> str:
        """Registry name of the model."""
        return str(self.options.get("model", ""))

    def best(self, metric: Metric | None = None) -> tuple[int, float] | None:
        """Return the batches and value of the best validation by the run's metric, or another one; None without any."""
        metric = metric or self.monitor
        curve = self.curves.get(metric.name, []) if metric else []
        if not metric or not curve:
            return None
        return (min if metric.lower_is_better else max)(curve, key=lambda point: point[1])


def read_record(folder: Path) -> Record:
    """Read a run folder, whatever is in it."""
    record = Record(folder)
    try:
        if not (folder / CONFIG).is_file():
            raise ValueError(f"no run: it has no {CONFIG}")
        record.options = dict(flatten(read_yaml(folder / CONFIG)))
        if not isinstance(record.options.get("model"), str):
            raise ValueError(f"{CONFIG} names no model")
        fit = _read_json(folder / FIT)
        _read_test(record)
        last = _read_metrics(folder / METRICS, record.curves)
        record.monitor = _read_monitor(folder)
        batches, minutes = fit.get("batches", last), fit.get("minutes")
        record.batches = batches if type(batches) is int else None
        record.minutes = float(minutes) if isinstance(minutes, (int, float)) else None
        record.changed = max(path.stat().st_mtime for path in _files(folder))
        record.state = _state(folder, fit)
    except (ValueError, OSError, csv.Error) as error:
        record.problem = first_line(error)
    return record


def find_runs(folder: Path) -> Iterator[Path]:
    """Yield the run folders at or below ``folder``, two levels deep, and folders that are no runs in their place.

    Raises:
        FileNotFoundError: there is no such folder.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder '{printable(str(folder))}'; `fit` writes runs to runs/")
    if (folder / CONFIG).is_file():
        yield folder
        return
    for child in _children(folder):
        below = [] if (child / CONFIG).is_file() else _children(child)
        if any((path / CONFIG).is_file() for path in below):
            yield from below
        else:
            yield child


def flatten(content: Mapping[str, Any], key: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the options of a configuration by dotted names, without classes' own levels and neutral options."""
    for name, value in content.items():
        path = key if name in ("init_args", "class_path") or (name == "name" and key.count(".")) else f"{key}.{name}"
        path = path.lstrip(".")
        if NEUTRAL.match(path):
            continue
        if isinstance(value, Mapping):
            yield from flatten(value, path)
        else:
            yield path, value


def _state(folder: Path, fit: Mapping[str, Any]) -> str:
    if is_held(folder):
        return "training"
    if not fit:
        return "interrupted"
    return {True: "finished", False: "interrupted"}.get(fit.get("finished"), "ended")  # type: ignore[arg-type]


def _read_json(path: Path) -> dict[str, Any]:
    """Content of a record; empty if there is none."""
    if not path.is_file():
        return {}
    try:
        return read_json(path)
    except ValueError as error:
        raise ValueError(f"{path.name}: {error}") from None


def _read_test(record: Record) -> None:
    """Read ``test.json``; one that cannot be read does not hide the rest of the run."""
    try:
        tested = _read_json(record.folder / TEST)
        if not isinstance(tested.get("metrics", {}), dict):
            raise ValueError(f"{TEST} was not written by `test`")
        record.tested = tested
    except ValueError as error:
        record.untested = first_line(error)


def _read_metrics(path: Path, curves: dict[str, list[tuple[int, float]]]) -> int | None:
    """Read finite validation metrics into ``curves``, and return the training batches behind the last row."""
    if not path.is_file():
        return None
    if path.stat().st_size > MAX_METRICS_BYTES:
        raise ValueError(f"{path.name} is larger than {MAX_METRICS_BYTES} bytes")
    batches = None
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        for row in csv.DictReader(file):
            if None in row.values() or not re.fullmatch(r"\d{1,15}", row.get("step") or "", re.ASCII):
                continue  # a full disk or a kill may leave a partial last row
            batches = int(row["step"]) + 1
            for name, text in row.items():
                if text and name.startswith("val/") and (value := _finite(text)) is not None:
                    curves.setdefault(name, []).append((batches, value))
    return batches


def _finite(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _read_monitor(folder: Path) -> Metric | None:
    """Metric that selects ``best.ckpt``, from the state of its callback in a checkpoint, which is not unpickled."""
    for name in CHECKPOINTS:
        path = checkpoint_path(folder, name)
        if not path.is_file():
            continue
        try:
            with path.open("rb") as stream, open_zip(stream) as archive:
                entry = next(entry for entry in archive.infolist() if entry.filename.endswith("/data.pkl"))
                with archive.open(entry) as file:
                    found = MONITOR.search(file.read(MAX_PICKLE_BYTES))
        except (zipfile.BadZipFile, StopIteration, NotImplementedError, RuntimeError, ValueError):  # damaged
            continue
        return Metric(found[1].decode(), found[2] == b"min") if found else None
    return None


def _files(folder: Path) -> Iterator[Path]:
    names = [folder / name for name in (CONFIG, METRICS, FIT)]
    return (path for path in (*names, checkpoint_path(folder, "last")) if path.is_file())


def _is_empty(folder: Path) -> bool:
    """True for a folder without content; one that cannot be read is not known to be empty."""
    try:
        return next(folder.iterdir(), None) is None
    except OSError:
        return False


def _children(folder: Path) -> list[Path]:
    """Folders in a folder that are not empty, numbers in their order; none in one that cannot be read."""
    try:
        found = [path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")]
    except OSError:
        return []
    found = [path for path in found if not _is_empty(path)]
    return sorted(found, key=lambda path: (0, int(path.name), "") if path.name.isdecimal() else (1, 0, path.name))
