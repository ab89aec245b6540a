"""``last.ckpt``, from which a run that was stopped or killed is resumed, and ``best.ckpt``."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint, ModelCheckpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO

from ..pretrained.paths import whole_file
from ..pretrained.run import read_checkpoint
from .stop_signals import StopSignals


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint beside its place, then renames it: a full disk or a kill leaves the old one.

    Lightning's own file is in the temporary folder until it is complete. That folder may be full, and from another
    file system a move is a copy.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write ``path`` completely or not at all; an OSError names it."""
        content = io.BytesIO()  # torch reports a full disk as a position that it did not expect
        torch.save(checkpoint, content)
        with whole_file(Path(path)) as file:
            file.write(content.getbuffer())

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        """Read ``path`` as tensors and plain values, also one that is split over processes."""
        return read_checkpoint(Path(path))


class BestCheckpoint(ModelCheckpoint):
    """Overwrites ``best.ckpt`` after each validation that is better than all before it.

    The best score goes with the run. Lightning's own forgets it once the folder has been moved or copied.

    Args:
        folder: of the checkpoint.
        monitor: metric, lower is better.
    """

    def __init__(self, folder: Path, monitor: str) -> None:
        super().__init__(
            folder,
            filename="best",
            monitor=monitor,
            enable_version_counter=False,
            save_on_train_epoch_end=False,  # but after a validation, which measures the metric
        )

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the score; without its file, the next validation is the best."""
        path = Path(str(self.dirpath)) / "best.ckpt"
        self.current_score = state_dict["current_score"]
        score = state_dict["best_model_score"]
        if score is not None and path.is_file():
            self.best_model_score = self.kth_value = score
            self.best_model_path = self.kth_best_model_path = str(path)
            self.best_k_models = {str(path): score}


class LastCheckpoint(Checkpoint):
    """Overwrites one checkpoint every ``every`` training batches, also within an epoch, and when training ends.

    After the last batch of an epoch the checkpoint waits for the epoch's validation. Ctrl-C, and SIGTERM, which a
    cluster sends before it takes a machine back, let the current batch finish, write the checkpoint and stop, in all
    processes if any one of them receives the signal. A second Ctrl-C stops at once. Under SLURM the requeue signal
    (SIGUSR1) does the same and queues the job again.

    Args:
        path: of the checkpoint.
        every: training batches between two writes.

    Raises:
        ValueError: ``every`` < 1.
    """

    def __init__(self, path: Path, every: int = 500) -> None:
        if every < 1:
            raise ValueError(f"checkpoint_every must be >= 1, got {every}")
        self.path, self.every = path, every
        self._saved = 0
        self._signals = StopSignals()

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Handle signals."""
        if stage == "fit":
            self._signals.install(trainer)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Count from the resumed batch."""
        # Lightning 2.6 restores the loader's position only at its own first use of the loader. A schedule over the
        # whole run (``trainer.estimated_stepping_batches``) uses it earlier.
        trainer.fit_loop._load_combined_loader_states()
        self._saved = _batches(trainer)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save within an epoch, also where ``max_steps`` ends the run: a longer run can then be resumed exactly."""
        if not trainer.is_last_batch:
            self._save_if_due(trainer, finished=trainer.global_step == trainer.max_steps)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save after the epoch's validation."""
        if trainer.is_last_batch:
            self._save_if_due(trainer)

    def on_validation_batch_end(self, trainer: Trainer, *_: Any) -> None:
        """Save the last training batch and stop; the resumed run validates from the start."""
        self._save_if_due(trainer, periodic=False)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save a validation within an epoch, if its batch was saved before it or if the run stops after it."""
        if trainer.state.fn == "fit" and not trainer.sanity_checking and not trainer.is_last_batch:
            self._save_if_due(trainer, finished=self._saved == _batches(trainer), periodic=False)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the final state."""
        if _batches(trainer) != self._saved:
            self._save(trainer)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Mark a validation that has not ended as due; Lightning 2.6 would skip it or go on in its middle."""
        loops = checkpoint["loops"]["fit_loop"]
        if _awaits_validation(trainer, loops):
            _mark_validation_due(loops)
        else:
            _mark_validation_done(loops)

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Begin another epoch after a finished one; given ``max_steps``, Lightning 2.6 would end that epoch again."""
        loops = checkpoint["loops"]["fit_loop"]
        validation = loops["epoch_loop.val_loop.batch_progress"]["current"]
        if trainer.max_steps != -1 and validation["completed"] == validation["ready"]:
            _leave_finished_epoch(loops)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Restore the handlers of signals; an exception that stops the run gets its exit code."""
        self._signals.set_exit_code(trainer, exception)
        self._signals.restore()

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Restore the handlers of signals."""
        self._signals.restore()

    def _save_if_due(self, trainer: Trainer, finished: bool = False, periodic: bool = True) -> None:
        stopping = self._signals.asked(trainer)
        if stopping or finished or (periodic and _batches(trainer) - self._saved >= self.every):
            self._save(trainer)
        if stopping:
            self._signals.stop(trainer)

    def _save(self, trainer: Trainer) -> None:
        trainer.save_checkpoint(self.path, weights_only=False)
        self._saved = _batches(trainer)


def _batches(trainer: Trainer) -> int:
    return trainer.fit_loop.total_batch_idx + 1


def _awaits_validation(trainer: Trainer, loops: dict[str, Any]) -> bool:
    """True within a validation, and at the end of a training batch that a validation follows."""
    if trainer.validating:
        validation = loops["epoch_loop.val_loop.batch_progress"]["current"]
        return validation["completed"] < validation["ready"]
    batch, fetcher = loops["epoch_loop.batch_progress"]["current"], trainer.fit_loop._data_fetcher
    if fetcher is None or batch["completed"] == batch["processed"]:
        return False
    return trainer.fit_loop.epoch_loop._should_check_val_fx(fetcher)


def _leave_finished_epoch(loops: dict[str, Any]) -> None:
    """Set the state before the first batch of the next epoch, if the last batch of one is done."""
    batches, epoch = loops["epoch_loop.batch_progress"], loops["epoch_progress"]
    if not batches["is_last_batch"] or epoch["current"]["processed"] < epoch["current"]["ready"]:
        return
    for counts in (epoch["current"], epoch["total"]):
        counts["completed"] = counts["processed"]
    batches["current"] = dict.fromkeys(batches["current"], 0)
    batches["is_last_batch"] = False
    loops["epoch_loop.state_dict"]["_batches_that_stepped"] -= 1  # the resumed run counts a skipped batch


def _mark_validation_done(loops: dict[str, Any]) -> None:
    """Count only batches that were completed: one that a kill interrupted would count until the epoch ends."""
    validation = loops["epoch_loop.val_loop.batch_progress"]
    for counts in (validation["current"], validation["total"]):
        counts.update(dict.fromkeys(counts, counts["completed"]))


def _mark_validation_due(loops: dict[str, Any]) -> None:
    """Set the state of a batch that is complete and of a validation that is in its first batch."""
    batches, validation = loops["epoch_loop.batch_progress"], loops["epoch_loop.val_loop.batch_progress"]
    for counts in (batches["current"], batches["total"]):
        counts["completed"] = counts["processed"]
    before = validation["total"]["completed"] - validation["current"]["completed"]
    for counts, done in ((validation["current"], 0), (validation["total"], before)):
        counts.update(ready=done + 1, started=done + 1, processed=done, completed=done)
