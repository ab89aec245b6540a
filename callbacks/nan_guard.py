"""Stops a run at the first loss that is not finite, before it reaches the weights."""

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

    On the CPU every loss is looked at; elsewhere a flag is kept on the device and read every ``EVERY`` batches.
    """

    def __init__(self) -> None:
        self._bad: Tensor | None = None

    def on_before_backward(self, trainer: Trainer, pl_module: Any, loss: Tensor) -> None:
        """Look at the loss, or at the flag that was kept since the last look."""
        bad = ~torch.isfinite(loss.detach()).all()
        self._bad = bad if self._bad is None else self._bad | bad
        batch = trainer.fit_loop.total_batch_idx
        every = 1 if trainer.strategy.root_device.type == "cpu" else EVERY
        if batch % every == 0 and bool(self._bad):
            raise TrainingDiverged(
                f"the loss is not finite at training step {batch}; try a new run with {pl_module.remedy}"
            )
