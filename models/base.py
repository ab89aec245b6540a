"""What every model of the zoo shares: named metrics, the temperature's step, the optimizer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import lightning as L
import torch
from torch import Tensor

from ..pretrained import hub, saving
from .relaxed import RelaxedCategorical

Batch = dict[str, Tensor]


class ZooModel(L.LightningModule):
    """A LightningModule whose subclasses write ``training_metrics`` and call ``save_hyperparameters``.

    Every ``RelaxedCategorical`` inside advances once per training batch, whatever the number of optimizers, before the
    batch ends: a checkpoint written at the end of a batch already holds the step of the next one.
    """

    registry_name: ClassVar[str] = ""  # set by ``register_model``
    monitor: str | None = "val/elbo"  # what ``best.ckpt`` is best in, lower is better; None keeps none
    # what to try after a loss that is not finite
    remedy: str = "a lower --model.learning_rate, a higher temperature, or --trainer.gradient_clip_val=1.0"

    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    lr_schedule: str = "constant"
    lr_warmup: int = 0

    def configure_learning(self, learning_rate: float, weight_decay: float, lr_schedule: str, lr_warmup: int) -> None:
        """What AdamW does and how its learning rate moves; ValueError for an unknown schedule."""
        if lr_schedule not in ("constant", "cosine"):
            raise ValueError(f"lr_schedule must be one of constant, cosine, got '{lr_schedule}'")
        self.learning_rate, self.weight_decay = learning_rate, weight_decay
        self.lr_schedule, self.lr_warmup = lr_schedule, lr_warmup

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
            if layers:
                metrics["temperature"] = torch.stack([layer.current_temperature().detach() for layer in layers]).mean()
            self.log_dict({f"train/{name}": value.detach() for name, value in metrics.items()}, prog_bar=True)
        for layer in layers:
            layer.advance()
        return metrics["loss"]

    def _logs_are_due(self) -> bool:
        """In batches that Lightning writes down (each one with ``log_every_n_steps=1``), and in an epoch's last.

        A value that is logged and dropped costs as much as a layer of the network.
        """
        every = self.trainer.log_every_n_steps  # type: ignore[attr-defined]
        written = every > 0 and (self.trainer.fit_loop.total_batch_idx + 1) % every == 0
        return written or self.trainer.is_last_batch

    def save_pretrained(self, folder: str | Path, **options: Any) -> Path:
        """Write a release folder; options and errors are those of ``saving.save_pretrained``."""
        return saving.save_pretrained(self, folder, **options)

    def push_to_hub(self, repository: str, **options: Any) -> str:
        """Upload as a release to the Hugging Face hub; options and errors are those of ``hub.push_to_hub``."""
        return hub.push_to_hub(self, repository, **options)

    def configure_optimizers(self) -> Any:
        """AdamW; the learning rate follows ``learning_rate_factor`` step by step.

        Raises:
            ValueError: a cosine over a run that has no end.
        """
        fused = self.device.type == "cpu" or None  # a sixth of a small model's step; elsewhere torch chooses
        optimizer = torch.optim.AdamW(
            self.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay, fused=fused
        )
        factor = partial(learning_rate_factor, warmup=self.lr_warmup, total=self.schedule_length())
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def schedule_length(self) -> float:
        """Steps until the schedule is at its end; infinite for a constant one."""
        if self.lr_schedule == "constant":
            return math.inf
        total = self.trainer.estimated_stepping_batches
        if math.isinf(total):
            raise ValueError("lr_schedule 'cosine' needs an end: set --trainer.max_steps or --trainer.max_epochs")
        return float(total)


def learning_rate_factor(step: int, warmup: int, total: float) -> float:
    """A straight line up to 1 over ``warmup`` steps, times half a cosine down to 0 over ``total`` (may be infinite)."""
    rise = min(1.0, (step + 1) / warmup) if warmup else 1.0
    return rise * 0.5 * (1 + math.cos(math.pi * min(1.0, step / max(total, 1.0))))


def check_images(x: Tensor, image_shape: Sequence[int]) -> None:
    """ValueError naming the fix for images ``b c h w`` of another shape than ``c h w``."""
    if x.shape[1:] != tuple(image_shape):
        raise ValueError(
            f"this model takes images of shape {tuple(image_shape)}, got {tuple(x.shape[1:])}; "
            f"set --model.image_shape='{list(x.shape[1:])}'"
        )


def check_draws(n: int, temperature: float) -> None:
    """ValueError for a number of samples below 1 or a temperature that is not a positive number."""
    if n < 1:
        raise ValueError(f"n must be >= 1, got {n}")
    if not 0 < temperature < math.inf:
        raise ValueError(f"temperature must be > 0, got {temperature}")


def straight_line(start: Tensor, end: Tensor, steps: int) -> Tensor:
    """Points at equal distances from ``start`` to ``end``, both among them, ``b ...`` twice ``-> b s ...``."""
    weight = torch.linspace(0, 1, steps, dtype=start.dtype, device=start.device).reshape(-1, *[1] * (start.ndim - 1))
    return torch.lerp(start[:, None], end[:, None], weight)
