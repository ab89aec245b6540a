"""Life of a run folder during one command: found or made, resumed, described, summed up."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import Timer
from lightning.pytorch.loggers import Logger, WandbLogger
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from ...callbacks import BestCheckpoint, Figures, LastCheckpoint, NanGuard, run_loggers
from ...callbacks.averaged_weights import check_averages_go_on, decay_of
from ...callbacks.due_validation import DueValidation
from ...callbacks.metrics_file import rows_before
from ...callbacks.quantities import name_of
from ...callbacks.training_rows import TrainingRows
from ...models import ZooModel
from ...pretrained.paths import remove_scratch, user_path
from ...pretrained.run import Run, batches_trained, is_run, read_checkpoint, run_of
from ...pretrained.run_files import CHECKPOINTS, CONFIG, FIT, METRICS, checkpoint_path
from ...pretrained.untrusted import printable
from ..files.source import SHOWING
from ..run_folders import runs
from ..run_folders.lock import RunLock
from ..run_folders.records import flatten
from .processes import is_first
from .requeue import record_job
from .splitting import check_split_goes_on


class RunRecorder(Callback):
    """Run folder of a command.

    Args:
        parent: folder of all runs of the configuration, ``runs/<configuration>``.
        command: command line, as typed.
        name: of the run; None is the next number, or the newest run.

    Attributes:
        run: the folder; None for a checkpoint that lies in no run.
        resumes: True if the folder was there before.
        lock: held by the first process while it trains.
    """

    def __init__(self, parent: Path, command: str, name: str | None = None) -> None:
        self.parent, self.command, self.name = parent, command, name
        self.run: Path | None = None
        self.resumes = False
        self.lock = RunLock()
        self._best: BestCheckpoint | None = None
        self._timer = Timer()
        self._rows: int | None = None  # of metrics.csv before the checkpoint
        self._config = ""

    # -- before training ----------------------------------------------------------------------------------------------

    def find_checkpoint(self, given: str | None, needed: bool) -> str | None:
        """Return the checkpoint to start from, and take its run.

        Args:
            given: ``best`` or ``last`` of the named or newest run, a file, a run folder, or None.
            needed: whether None means that run's, its best, else its last; else it means none. Likewise for a folder,
                of which the last is taken to go on.

        Raises:
            FileNotFoundError: there is no such run or checkpoint.
            ValueError: the file is no checkpoint, another process trains the run, or its name is not to be given.
        """
        if given in CHECKPOINTS:
            self.run = runs.find_run(self.parent, self.name, str(given))
            checkpoint = checkpoint_path(self.run, str(given))
        elif given and self.name is not None:
            raise ValueError("--name is of a new run, or goes with --ckpt_path last; leave it or the checkpoint out")
        elif given:
            checkpoint = user_path(given)
            if is_run(checkpoint):
                checkpoint = Run(checkpoint).checkpoint if needed else checkpoint_path(checkpoint, "last")
            self.run = run_of(checkpoint)
        elif needed:
            self.run = runs.find_run(self.parent, self.name, "last")
            checkpoint = Run(self.run).checkpoint
        else:
            if self.name is not None and is_first():
                runs.check_free(self.parent, self.name)
            return None
        self.resumes = self.run is not None
        if self.run is not None and not needed and is_first():
            self.lock.acquire(self.run)  # before the checkpoint is read, which its holder may still write
        content = read_checkpoint(checkpoint, whole=False)
        batches = batches_trained(content)
        self._rows = rows_before(content, batches, self.run / METRICS) if self.run is not None else None
        return str(checkpoint)

    def check_unchanged(self, begun: Mapping[str, Any], options: Mapping[str, Any], goes_on: bool) -> None:
        """Check that a run is resumed or measured with the configuration it was begun with.

        Args:
            begun: content of its ``config.yaml``.
            options: of the command.
            goes_on: whether the command trains.

        Raises:
            ValueError: they differ; it names the options.
        """
        if others := runs.differences(dict(flatten(begun)), dict(flatten(options))):
            remedy = (
                "--ckpt_path goes on with a run as it is; give the options it was begun with, or train a new run "
                "without --ckpt_path"
                if goes_on
                else "its weights are measured as they were trained; give the options it was begun with, or name "
                "another run's checkpoint with --ckpt_path"
            )
            raise ValueError(f"{self.run} was begun with {'; '.join(others)}: {remedy}")

    def prepare(self, config: str) -> Path:
        """Return the folder of the run, a new one unless it is resumed; only the first process touches the disk.

        Args:
            config: content of ``config.yaml``.

        Raises:
            PermissionError: the folder cannot be written.
        """
        self._config = config
        if not is_first():
            self.run = self.run or self.parent / "of-the-first-process"
        elif self.run is None:
            self.run = runs.new_run(self.parent, self.name)
            self.lock.acquire(self.run)
            runs.write_text(self.run / CONFIG, config)
            record_job(self.run)
        return self.run

    def loggers(self, wandb: str) -> list[Logger]:
        """Return the loggers of the prepared run; ``wandb`` is off, online or offline."""
        assert self.run is not None
        return run_loggers(self.run, wandb, self._rows)

    def callbacks(self, model: ZooModel, every: int, max_time: Any) -> list[Callback]:
        """Return the callbacks of the prepared run: checkpoints, records, pictures, time limit, NaN guard.

        Args:
            model: its ``monitor`` selects ``best.ckpt``.
            every: training batches between two writes of ``last.ckpt``.
            max_time: time after which training ends, as ``Timer`` takes it; None for no limit.
        """
        assert self.run is not None
        self._best = BestCheckpoint(self.run / "checkpoints", model.monitor) if model.monitor else None
        last = LastCheckpoint(checkpoint_path(self.run, "last"), every)
        rows = TrainingRows()  # of a batch, before its checkpoint
        self._timer = Timer(max_time)
        others = [DueValidation(), self, NanGuard(), self._timer, rows, Figures(self.run / "figures"), last]
        return [self._best, *others] if self._best is not None else others

    @property
    def resumable(self) -> bool:
        """True if there is a last.ckpt to go on from."""
        return self.run is not None and checkpoint_path(self.run, "last").is_file()

    def remove_unused(self) -> None:
        """Remove a new folder in which no training began."""
        if self.run is not None and not self.resumes:
            self.lock.release()
            runs.remove_unused(self.run)

    # -- training -----------------------------------------------------------------------------------------------------

    def on_load_checkpoint(self, trainer: Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """Check that averages of the weights go on; a checkpoint that lies in no run has no options to compare."""
        check_averages_go_on(trainer, checkpoint)
        check_split_goes_on(trainer, checkpoint)

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Begin the part of the run after the checkpoint: by now everything about it has been accepted."""
        if self.resumes:
            self._on_resume()

    @rank_zero_only
    def _on_resume(self) -> None:
        """Drop what the earlier command wrote of batches after the checkpoint, and of a run that had ended."""
        assert self.run is not None
        remove_scratch(self.run)
        runs.write_text(self.run / CONFIG, self._config)
        record_job(self.run)
        (self.run / FIT).unlink(missing_ok=True)

    @rank_zero_only
    def write_metadata(self, trainer: Trainer, seed: Any, finished: bool = False) -> dict[str, Any] | None:
        """Write command, environment and duration to ``fit.json`` and return them; None without a checkpoint."""
        if self.run is None or not any((self.run / "checkpoints").glob("*.ckpt")):
            return None
        metadata = {
            "command": self.command,
            "seed": seed,
            "finished": finished,
            "batches": trainer.fit_loop.total_batch_idx + 1,
            "ema": decay_of(trainer),
            "minutes": round(self._timer.time_elapsed("train") / 60, 2),
            **runs.environment(),
        }
        runs.write_json(self.run / FIT, metadata)
        return metadata

    @rank_zero_only
    def finish(self, trainer: Trainer, model: ZooModel, seed: Any) -> None:
        """Write the metadata of a run that ended, close its logs, and print its results and what to type next.

        Raises:
            ValueError: a new run trained no batch.
        """
        if not self.resumes and trainer.fit_loop.total_batch_idx < 0:
            raise ValueError(
                "nothing was trained: the options leave no batch; see --trainer.max_steps, --trainer.max_epochs, "
                "--trainer.max_time, --trainer.limit_train_batches and --data.batch_size"
            )
        metadata = self.write_metadata(trainer, seed, finished=True)
        if self.run is None or metadata is None:
            return
        remove_scratch(self.run)
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):
                logger.experiment.finish()
        pictures = ", ".join(str(path) for path in sorted((self.run / "figures").glob("*.png")))
        program, run = runs.program(), shlex.quote(str(self.run))
        lines = [
            f"run       {self.run}  ({metadata['batches']} batches, {metadata['minutes']} minutes)",
            f"best      {self._selection(model)}",
            f"pictures  {pictures or 'none yet'}",
            f"next      {program} test {run}",
            *(f"          {program} {verb} {run}" for verb in SHOWING if hasattr(model, verb)),
            f"          {program} export {run} checkpoints/NAME   (after test)",
        ]
        print("", *map(printable, lines), sep="\n")

    def _selection(self, model: ZooModel) -> str:
        """What selected ``best.ckpt``, with its value."""
        if self._best is None:
            return "none: this model has no metric that selects a checkpoint; use last.ckpt"
        score = self._best.best_model_score
        return "no validation has run" if score is None else f"{name_of(str(model.monitor))} {float(score):.4g}"
