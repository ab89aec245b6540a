"""Guard that stops a run whose loss or weights are not finite, before they are written into a checkpoint."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
from torch import Tensor

EVERY = 50  # batches between two checks on an accelerator, where each check waits for the device


class TrainingDiverged(RuntimeError):
    """The loss, or a weight, became NaN or infinite."""


class NanGuard(Callback):
    """Raises ``TrainingDiverged`` with the step and the model's ``divergence_hint``.

    On the CPU every loss is checked before the backward pass, so that the weights do not change. Elsewhere a flag on
    the device is read every ``EVERY`` batches, before a checkpoint is written, and when training ends. The trained
    weights are checked before a checkpoint and at the end too, since a finite loss may have a gradient that is not.
    """

    def __init__(self) -> None:
        self._bad: Tensor | None = None

    def on_before_backward(self, trainer: Trainer, pl_module: Any, loss: Tensor) -> None:
        """Update the flag, and check it if due."""
        bad = ~torch.isfinite(loss.detach()).all()
        self._bad = bad if self._bad is None else self._bad | bad
        every = 1 if trainer.strategy.root_device.type == "cpu" else EVERY
        if trainer.fit_loop.total_batch_idx % every == 0:
            self._check_loss(trainer, pl_module)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """Check before anything is written."""
        self._check(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: Any) -> None:
        """Check the last batches, and the weights that they left."""
        self._check(trainer, pl_module)

    def _check(self, trainer: Trainer, pl_module: Any) -> None:
        self._check_loss(trainer, pl_module)
        if not all(bool(weight.isfinite().all()) for weight in pl_module.parameters() if weight.requires_grad):
            raise _diverged("weights are", trainer, pl_module)

    def _check_loss(self, trainer: Trainer, pl_module: Any) -> None:
        if self._bad is not None and bool(self._bad):
            raise _diverged("loss is", trainer, pl_module)


def _diverged(what: str, trainer: Trainer, pl_module: Any) -> TrainingDiverged:
    return TrainingDiverged(
        f"the {what} not finite at training step {trainer.fit_loop.total_batch_idx}; try a new run with "
        f"{pl_module.divergence_hint}"
    )
