"""``last.ckpt``: where a run that was stopped, or killed, goes on."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO


class WholeCheckpoints(TorchCheckpointIO):
    """Writes a checkpoint beside its place and moves it there: a full disk or a kill leaves the one before.

    Lightning's own comes from the temporary folder, and from another file system a move is a copy.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write ``path``, whole or not at all."""
        scratch = Path(path).with_suffix(".tmp")
        try:
            super().save_checkpoint(checkpoint, scratch, storage_options)
            scratch.replace(path)
        finally:
            scratch.unlink(missing_ok=True)


class LastCheckpoint(Checkpoint):
    """Overwrites one checkpoint every ``every`` training batches, in mid-epoch too, and when training ends.

    A batch that ends an epoch is left to the epoch's end, after its validation. Ctrl-C lets the running batch finish,
    writes the checkpoint and stops, so that nothing is lost; a second one stops at once. So does SIGTERM, which a
    cluster sends before it takes a machine back. With several processes both stop at once, since they need not be at
    the same batch.
    """

    def __init__(self, path: Path, every: int = 500) -> None:
        if every < 1:
            raise ValueError(f"checkpoint_every must be >= 1, got {every}")
        self.path, self.every = path, every
        self._saved = 0
        self._asked = False
        self._handler: Any = None

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Listen for Ctrl-C."""
        self._asked = False
        if trainer.world_size == 1 and threading.current_thread() is threading.main_thread():
            self._handler = signal.signal(signal.SIGINT, self._ask)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Count from where the run stands.

        Lightning 2.6 restores the loader's position where it first asks for the loader, and forgets to if a model asked
        earlier, as a schedule over the whole run does (``trainer.estimated_stepping_batches``).
        """
        trainer.fit_loop._load_combined_loader_states()
        self._saved = _batches(trainer)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save in mid-epoch; where ``max_steps`` ends the run there, a longer run can go on as if it had not."""
        if not trainer.is_last_batch:
            self._save_if_due(trainer, finished=trainer.global_step == trainer.max_steps)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save after the epoch's validation."""
        if trainer.is_last_batch:
            self._save_if_due(trainer)

    def on_validation_batch_end(self, *_: Any) -> None:
        """Validation has nothing to save: stop at once."""
        if self._asked:
            raise KeyboardInterrupt

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the final state."""
        if _batches(trainer) != self._saved:
            self._save(trainer)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Let a finished epoch be finished: Lightning 2.6 would end it a second time when it resumes ``max_steps``."""
        loops = checkpoint["loops"]["fit_loop"]
        epoch = loops["epoch_progress"]["current"]
        if trainer.max_steps == -1 or not trainer.is_last_batch or epoch["processed"] < epoch["ready"]:
            return
        for counts in (epoch, loops["epoch_progress"]["total"]):
            counts["completed"] = counts["processed"]
        batches = loops["epoch_loop.batch_progress"]
        batches["current"] = dict.fromkeys(batches["current"], 0)
        batches["is_last_batch"] = False
        loops["epoch_loop.state_dict"]["_batches_that_stepped"] -= 1  # the resumed run counts one that it skips

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Give Ctrl-C back."""
        if self._handler is not None:
            signal.signal(signal.SIGINT, self._handler)
            self._handler = None

    def _ask(self, number: int, frame: Any) -> None:
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True

    def _save_if_due(self, trainer: Trainer, finished: bool = False) -> None:
        ending = self._asked or (trainer.received_sigterm and trainer.world_size == 1)  # Lightning stops after this
        if ending or finished or _batches(trainer) - self._saved >= self.every:
            self._save(trainer)
        if self._asked:
            raise KeyboardInterrupt

    def _save(self, trainer: Trainer) -> None:
        trainer.save_checkpoint(self.path, weights_only=False)
        self._saved = _batches(trainer)


def _batches(trainer: Trainer) -> int:
    return trainer.fit_loop.total_batch_idx + 1
