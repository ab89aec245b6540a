"""Loggers of a run: ``metrics.csv``, TensorBoard if it is installed, wandb if asked for."""

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
    """Return the loggers of a run folder; ``wandb`` is ``off``, ``online`` or ``offline``."""
    loggers: list[Logger] = [RunCSV(run)]
    if find_spec("tensorboard"):
        loggers.append(TensorBoardLogger(run, name="tensorboard", version=""))
    if wandb != "off":
        name = f"{run.parent.name}-{run.name}"
        loggers.append(WandbLogger(name=name, project="gumbelzoo", save_dir=run, offline=wandb == "offline"))
    return loggers


class RunCSV(CSVLogger):
    """Lightning's CSV log as ``metrics.csv`` in the run folder; a resumed run appends to it."""

    def __init__(self, run: Path) -> None:
        super().__init__(run, name="", version="")

    def log_hyperparams(self, *_: Any, **__: Any) -> None:
        """Write nothing: ``config.yaml`` has the hyperparameters."""

    @property
    @rank_zero_experiment
    def experiment(self) -> ExperimentWriter:
        """Writer that keeps existing rows."""
        if self._experiment is None:
            self._experiment = _AppendingWriter(self.log_dir)
        return self._experiment  # type: ignore[return-value]


class _AppendingWriter(ExperimentWriter):
    """Writer that starts from the columns of an existing log."""

    def __init__(self, log_dir: str) -> None:
        super().__init__(log_dir)
        path = Path(self.metrics_file_path)
        if path.exists():
            with path.open(newline="") as file:
                self.metrics_keys = list(csv.DictReader(file).fieldnames or [])

    def _check_log_dir_exists(self) -> None:
        """Keep the log: Lightning's writer deletes it here."""


def read_metrics(path: Path) -> dict[str, list[tuple[int, float]]]:
    """Return the columns of ``metrics.csv`` as (step, value) pairs, without blanks."""
    series: dict[str, list[tuple[int, float]]] = {}
    for row in _rows(path)[1]:
        for name, value in row.items():
            if value and name != "step":
                series.setdefault(name, []).append((int(row["step"]), float(value)))
    return series


def drop_rows_after(path: Path, batches: int) -> None:
    """Drop the rows that a run resumed after ``batches`` training batches writes again."""
    if not path.exists():
        return
    names, rows = _rows(path)
    scratch = path.with_suffix(".new")
    with scratch.open("w", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(row for row in rows if int(row["step"]) < batches)
    scratch.replace(path)


def _rows(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """Column names, and the complete rows: a full disk or a kill may leave a partial last one."""
    with path.open(newline="") as file:
        reader = csv.DictReader(file)
        rows = [row for row in reader if None not in row.values() and (row.get("step") or "").isdigit()]
        return list(reader.fieldnames or []), rows
