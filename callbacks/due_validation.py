"""The validation that a run still owes when it was stopped after its last step."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer


class DueValidation(Callback):
    """Lets a resumed run validate once more, although ``max_steps`` is reached.

    Lightning 2.6 ends such a run at once, without the metrics of the last validation and without ``best.ckpt``.
    """

    def __init__(self) -> None:
        self._due = self._extended = False

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Note whether a validation has begun and not ended."""
        validation = checkpoint["loops"]["fit_loop"]["epoch_loop.val_loop.batch_progress"]["current"]
        self._due = validation["completed"] < validation["ready"] and checkpoint["global_step"] == trainer.max_steps

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Move the end, which schedules have read by now."""
        if self._due:
            trainer.fit_loop.epoch_loop.max_steps += 1
            self._extended = True

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Move the end back before a training batch begins."""
        if self._extended:
            trainer.fit_loop.epoch_loop.max_steps -= 1
            self._extended = False
