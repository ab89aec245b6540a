"""Stops a run whose loss is not finite: on the CPU before it reaches the weights, elsewhere before a checkpoint."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
from torch import Tensor

EVERY = 50  # on an accelerator, reading the loss each step would wait for the device each step


class TrainingDiverged(RuntimeError):
    """The loss became NaN or infinite."""


class NanGuard(Callback):
    """Raises ``TrainingDiverged`` with the step and the model's ``remedy``.

    On the CPU every loss is looked at; elsewhere a flag is kept on the device and read every ``EVERY`` batches, before
    a checkpoint is written and when training ends.
    """

    def __init__(self) -> None:
        self._bad: Tensor | None = None

    def on_before_backward(self, trainer: Trainer, pl_module: Any, loss: Tensor) -> None:
        """Look at the loss, or now and then at the flag."""
        bad = ~torch.isfinite(loss.detach()).all()
        self._bad = bad if self._bad is None else self._bad | bad
        every = 1 if trainer.strategy.root_device.type == "cpu" else EVERY
        if trainer.fit_loop.total_batch_idx % every == 0:
            self._look(trainer, pl_module)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """Look before anything is written."""
        self._look(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: Any) -> None:
        """Look at the last batches."""
        self._look(trainer, pl_module)

    def _look(self, trainer: Trainer, pl_module: Any) -> None:
        if self._bad is not None and bool(self._bad):
            raise TrainingDiverged(
                f"the loss is not finite at training step {trainer.fit_loop.total_batch_idx}; try a new run with "
                f"{pl_module.remedy}"
            )
