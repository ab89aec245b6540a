"""The progress bar on a terminal; a line now and then where there is none."""

from __future__ import annotations

import sys
import time
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import TQDMProgressBar

SECONDS = 5.0
REDRAW = 0.2


class ProgressBar(TQDMProgressBar):
    """Lightning's bar with short names, redrawn at most every ``REDRAW`` seconds, however short the steps are.

    Into a file or a pipe it writes one line of the same figures after a validation, at most every ``SECONDS``.
    """

    def __init__(self) -> None:
        super().__init__()
        self._drawn = 0.0
        self._terminal = sys.stdout.isatty()
        self._printed = 0.0
        if not self._terminal:
            self.disable()

    def enable(self) -> None:
        """Only a terminal can redraw a line."""
        if self._terminal:
            super().enable()

    def get_metrics(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, Any]:
        """The figures beside the bar, ``train/loss`` as ``loss``."""
        metrics = super().get_metrics(trainer, pl_module)
        metrics.pop("v_num", None)
        return {name.removeprefix("train/"): value for name, value in metrics.items()}

    def on_train_batch_end(self, trainer: Trainer, *others: Any) -> None:
        """Redraw, if the last time is long enough ago."""
        now = time.monotonic()
        if self.is_enabled and (now - self._drawn >= REDRAW or trainer.is_last_batch):
            self._drawn = now
            super().on_train_batch_end(trainer, *others)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Without a terminal, one line."""
        super().on_validation_end(trainer, pl_module)
        now = time.monotonic()
        if self._terminal or trainer.sanity_checking or not trainer.is_global_zero or now - self._printed < SECONDS:
            return
        self._printed = now
        metrics = {**self.get_metrics(trainer, pl_module), **_validation(trainer)}
        figures = "  ".join(f"{name} {float(value):.4g}" for name, value in metrics.items())
        print(f"epoch {trainer.current_epoch}  step {trainer.global_step}  {figures}", flush=True)


def _validation(trainer: Trainer) -> dict[str, Any]:
    return {name: value for name, value in trainer.callback_metrics.items() if name.startswith("val/")}
