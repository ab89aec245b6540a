"""What every model of the zoo shares: named metrics, the temperature's step, the optimizer."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import lightning as L
import torch
from torch import Tensor

from .relaxed import RelaxedCategorical

Batch = dict[str, Tensor]


class ZooModel(L.LightningModule):
    """A LightningModule whose subclasses write ``training_metrics`` and call ``save_hyperparameters``.

    Every ``RelaxedCategorical`` inside advances once per training batch, whatever the number of optimizers, before the
    batch ends: a checkpoint written at the end of a batch already holds the step of the next one.
    """

    registry_name: ClassVar[str] = ""  # set by ``register_model``
    monitor: ClassVar[str] = "val/elbo"  # what ``best.ckpt`` is best in, lower is better

    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    lr_schedule: str = "constant"

    def training_metrics(self, batch: Batch) -> dict[str, Tensor]:
        """Named scalars of one training batch, the objective among them as ``loss``."""
        raise NotImplementedError

    def relaxed_layers(self) -> list[RelaxedCategorical]:
        """Every relaxed-sampling layer of the model."""
        return [module for module in self.modules() if isinstance(module, RelaxedCategorical)]

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Log the batch's metrics and temperature, advance the temperature, return the loss."""
        layers = self.relaxed_layers()
        metrics = self.training_metrics(batch)
        if self._logs_are_due():
            metrics["temperature"] = torch.stack([layer.current_temperature().detach() for layer in layers]).mean()
            self.log_dict({f"train/{name}": value.detach() for name, value in metrics.items()}, prog_bar=True)
        for layer in layers:
            layer.advance()
        return metrics["loss"]

    def _logs_are_due(self) -> bool:
        """Lightning writes every ``log_every_n_steps`` batches, and a value that it drops costs as much as a layer."""
        every = self.trainer.log_every_n_steps  # type: ignore[attr-defined]
        return every > 0 and (self.trainer.fit_loop.total_batch_idx + 1) % every == 0

    def configure_optimizers(self) -> Any:
        """AdamW, with the learning rate constant or falling to 0 along half a cosine over the whole run."""
        optimizer = torch.optim.AdamW(self.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay)
        if self.lr_schedule == "constant":
            return optimizer
        total = self.trainer.estimated_stepping_batches
        if math.isinf(total):
            raise ValueError("lr_schedule 'cosine' needs an end: set --trainer.max_steps or --trainer.max_epochs")
        scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=int(total))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}
