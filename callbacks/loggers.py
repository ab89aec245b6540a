"""Loggers of a run: ``metrics.csv``, TensorBoard if it is installed, wandb if asked for."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch.loggers import Logger, TensorBoardLogger, WandbLogger
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from ..pretrained.paths import whole_file
from .metrics_file import RunCSV

WANDB_ID = "wandb-id"


def run_loggers(run: Path, wandb: str = "off", rows: int | None = None) -> list[Logger]:
    """Return the loggers of a run folder.

    Args:
        run: the folder.
        wandb: ``off``, ``online`` or ``offline``.
        rows: of ``metrics.csv`` before the checkpoint of a resumed run.
    """
    loggers: list[Logger] = [RunCSV(run, rows)]
    if find_spec("tensorboard"):
        loggers.append(TensorBoardLogger(run, name="tensorboard", version=""))
    if wandb != "off":
        loggers.append(RunWandb(run, offline=wandb == "offline"))
    return loggers


class RunWandb(WandbLogger):
    """One wandb run for each run folder, which keeps its id in ``wandb-id``; wandb's step is the training batch.

    Lightning lets wandb count the calls, and an offline run that is resumed would count from 0 again.

    Args:
        run: the folder; wandb's own files are below it.
        offline: whether nothing is sent.
    """

    def __init__(self, run: Path, offline: bool) -> None:
        self._file = run / WANDB_ID
        known = self._file.read_text(encoding="utf-8").strip() if self._file.is_file() else None
        # Offline, wandb cannot ask whether the run exists, and warns.
        resume = None if offline else "allow"
        name = f"{run.parent.name}-{run.name}"
        super().__init__(name=name, project="gumbelzoo", save_dir=run, offline=offline, id=known or None, resume=resume)
        self._step = 0

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """The wandb run, begun or resumed at first use."""
        begins = self._experiment is None
        experiment = super().experiment
        if begins and not self._file.is_file():
            with whole_file(self._file) as file:
                file.write(f"{experiment.id}\n".encode())
        return experiment

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Add to the history at a step; None is the step of the call before, as for pictures."""
        self._step = self._step if step is None else step
        # What was sent before a kill is the same, and wandb warns when it gets it again.
        if self._step >= self.experiment.starting_step:
            self.experiment.log({**metrics, "trainer/global_step": self._step}, step=self._step)
