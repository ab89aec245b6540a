"""Rows of ``metrics.csv`` in training: each value where it was measured, and each row before its checkpoint."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from .metrics_file import ROWS, RunCSV

STARTS = "on_train_batch_start"


class TrainingRows(Callback):
    """Gives the loggers a batch's metrics before checkpoints are written, and none of earlier batches.

    Lightning writes a row after the checkpoint of its batch, so that a run stopped in between loses the row. Until an
    epoch ends it repeats in each row what was logged in any batch. The progress bar repeats it until training ends.
    """

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Drop the rows that a resumed run writes again."""
        for log in _metrics_files(trainer):
            log.begin()

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Forget what was logged after the last row; other callbacks may have logged in this hook."""
        _forget(trainer, but=STARTS)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Write the row, if one is due."""
        if all(result._forward_cache is None for result in (trainer._results or {}).values()):
            return
        logged = trainer._logger_connector
        shown, known = logged.metrics["pbar"], trainer.progress_bar_metrics
        if shown:
            for result in (trainer._results or {}).values():
                if (name := result.meta.forked_name(on_step=True)) not in shown:
                    known.pop(name, None)
        # What Lightning keeps of a batch for other callbacks, it takes now or when it is next asked.
        _ = trainer.callback_metrics, trainer.logged_metrics
        logged.update_train_step_metrics()
        _forget(trainer)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Note how many rows of ``metrics.csv`` a resumed run keeps."""
        for log in _metrics_files(trainer):
            checkpoint[ROWS] = log.rows_on_disk()


def _metrics_files(trainer: Trainer) -> list[RunCSV]:
    return [logger for logger in trainer.loggers if isinstance(logger, RunCSV)]


def _forget(trainer: Trainer, but: str = "") -> None:
    """Drop the values of the batch, except those logged in the hook ``but``; sums over an epoch stay."""
    for result in (trainer._results or {}).values():
        if result.meta.fx != but:
            result._forward_cache = None
