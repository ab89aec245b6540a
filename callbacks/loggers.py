"""Where numbers go: ``metrics.csv`` always, TensorBoard when it is installed, wandb when asked for."""

from __future__ import annotations

import csv
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger, WandbLogger
from lightning.pytorch.loggers.csv_logs import ExperimentWriter

METRICS = "metrics.csv"


def run_loggers(run: Path, wandb: str = "off") -> list[Logger]:
    """Loggers that write into a run folder; ``wandb`` is ``off``, ``online`` or ``offline``."""
    loggers: list[Logger] = [RunCSV(run)]
    if find_spec("tensorboard"):
        loggers.append(TensorBoardLogger(run, name="tensorboard", version=""))
    if wandb != "off":
        name = f"{run.parent.name}-{run.name}"
        loggers.append(WandbLogger(name=name, project="gumbelzoo", save_dir=run, offline=wandb == "offline"))
    return loggers


class RunCSV(CSVLogger):
    """Lightning's CSV log as ``metrics.csv`` in the run folder; a resumed run goes on in it, not from nothing."""

    def __init__(self, run: Path) -> None:
        super().__init__(run, name="", version="")

    def log_hyperparams(self, *_: Any, **__: Any) -> None:
        """Nothing: ``config.yaml`` beside the log has them."""

    @property
    @rank_zero_experiment
    def experiment(self) -> ExperimentWriter:
        """The writer, which keeps the rows that are there."""
        if self._experiment is None:
            self._experiment = _AppendingWriter(self.log_dir)
        return self._experiment  # type: ignore[return-value]


class _AppendingWriter(ExperimentWriter):
    def __init__(self, log_dir: str) -> None:
        super().__init__(log_dir)
        path = Path(self.metrics_file_path)
        if path.exists():
            with path.open(newline="") as file:
                self.metrics_keys = list(csv.DictReader(file).fieldnames or [])

    def _check_log_dir_exists(self) -> None:
        """Lightning's writer deletes the old log here."""


def read_metrics(path: Path) -> dict[str, list[tuple[int, float]]]:
    """Columns of ``metrics.csv`` as (step, value) pairs, blanks left out."""
    series: dict[str, list[tuple[int, float]]] = {}
    for row in _rows(path)[1]:
        for name, value in row.items():
            if value and name != "step":
                series.setdefault(name, []).append((int(row["step"]), float(value)))
    return series


def forget_after(path: Path, batches: int) -> None:
    """Drop the rows that a run resumed after ``batches`` training batches will write again."""
    if not path.exists():
        return
    names, rows = _rows(path)
    new = path.with_suffix(".new")
    with new.open("w", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(row for row in rows if int(row["step"]) < batches)
    new.replace(path)


def _rows(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """The names of the columns, and the rows but one that a full disk or a killed run left half written."""
    with path.open(newline="") as file:
        reader = csv.DictReader(file)
        rows = [row for row in reader if None not in row.values() and (row.get("step") or "").isdigit()]
        return list(reader.fieldnames or []), rows
