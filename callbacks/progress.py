"""Progress bar on a terminal; elsewhere a line when training begins, and one of metrics after a validation."""

from __future__ import annotations

import sys
import time
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import TQDMProgressBar

from .quantities import name_of

LINE_SECONDS = 5.0  # least time between two lines
REDRAW_SECONDS = 0.2  # least time between two drawings of the bar


class ProgressBar(TQDMProgressBar):
    """Lightning's bar with short metric names, redrawn at most every ``REDRAW_SECONDS``.

    Without a terminal it says what begins, then prints the same metrics in a line after a validation, at most every
    ``LINE_SECONDS``.
    """

    def __init__(self) -> None:
        super().__init__()
        self._drawn = 0.0
        self._terminal = sys.stdout.isatty()
        self._printed = 0.0
        if not self._terminal:
            self.disable()

    def enable(self) -> None:
        """Enable the bar on a terminal, where a line can be redrawn."""
        if self._terminal:
            super().enable()

    def get_metrics(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, Any]:
        """Return the metrics shown with the bar, ``train/loss`` as ``loss`` and the negative ELBO by this name."""
        metrics = super().get_metrics(trainer, pl_module)
        metrics.pop("v_num", None)
        return {name_of(key.removeprefix("train/")): value for key, value in metrics.items()}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Say what begins if there is no terminal: the first validation may be an hour away."""
        super().on_train_start(trainer, pl_module)
        if not self._terminal and trainer.is_global_zero and not trainer.fast_dev_run:  # type: ignore[attr-defined]
            print(_begun(trainer), file=sys.stderr, flush=True)

    def on_train_batch_end(self, trainer: Trainer, *others: Any) -> None:
        """Redraw, unless it was done less than ``REDRAW_SECONDS`` ago."""
        now = time.monotonic()
        if self.is_enabled and (now - self._drawn >= REDRAW_SECONDS or trainer.is_last_batch):
            self._drawn = now
            super().on_train_batch_end(trainer, *others)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print a line if there is no terminal."""
        super().on_validation_end(trainer, pl_module)
        now = time.monotonic()
        if (
            self._terminal
            or trainer.sanity_checking
            or not trainer.is_global_zero
            or now - self._printed < LINE_SECONDS
        ):
            return
        self._printed = now
        metrics = {**self.get_metrics(trainer, pl_module), **_validation(trainer)}
        line = "  ".join(f"{name} {float(value):.4g}" for name, value in metrics.items())
        print(f"epoch {trainer.current_epoch}  step {trainer.global_step}  {line}", flush=True)


def _begun(trainer: Trainer) -> str:
    """Folder of the run, its data and length, and when the next line comes."""
    data = trainer.datamodule  # type: ignore[attr-defined]
    name = getattr(data, "name", None) or type(data).__name__
    limits = {"epoch": trainer.max_epochs, "step": trainer.max_steps}
    most = " or ".join(_count(number, unit) for unit, number in limits.items() if number not in (None, -1))
    length = f"{_count(trainer.num_training_batches, 'batch', 'es')} an epoch" + (f", at most {most}" if most else "")
    batches, epochs = trainer.val_check_batch, trainer.check_val_every_n_epoch
    if not trainer.enable_validation:
        next_line = "no line before the end, since nothing is validated"
    elif isinstance(batches, int) and (epochs is None or batches < trainer.num_training_batches):
        next_line = f"a line after each validation, every {batches:,} batches"
    else:
        next_line = "a line after each validation" + (f", every {epochs} epochs" if epochs != 1 else "")
    return f"training {trainer.default_root_dir} on {name}: {length}; {next_line}"


def _count(number: int | float, unit: str, plural: str = "s") -> str:
    return f"{number:,} {unit}{plural if number != 1 else ''}"


def _validation(trainer: Trainer) -> dict[str, Any]:
    return {name_of(key): value for key, value in trainer.callback_metrics.items() if key.startswith("val/")}
