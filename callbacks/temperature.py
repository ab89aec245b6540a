"""Temperature steps for the relaxed-sampling layers of any Lightning module."""

from __future__ import annotations

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from ..models.base import ZooModel
from ..models.relaxed.annealed import Annealed


class TemperatureCallback(Callback):
    """Advances every relaxed-sampling layer of a module once per optimizer step, and logs their mean temperature.

    A training batch that makes no optimizer step (gradient accumulation) does not count, and one that steps several
    optimizers counts once. The log is ``name``, the mean over the layers before the step, every ``log_every_n_steps``.

    Args:
        name: of the logged temperature.

    Raises:
        ValueError: when training starts: a ``ZooModel``, which does both itself, or a module without such layers.

    Example:
        >>> from lightning.pytorch import Trainer
        >>> from gumbelzoo.callbacks import TemperatureCallback
        >>> trainer = Trainer(max_steps=100, callbacks=[TemperatureCallback()], accelerator="cpu", logger=False)
    """

    def __init__(self, name: str = "temperature") -> None:
        self.name = name
        self._steps = 0  # optimizer steps at the start of the batch

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Check the module."""
        if isinstance(pl_module, ZooModel):
            raise ValueError(
                f"{type(pl_module).__name__} advances and logs its temperatures itself; leave TemperatureCallback out"
            )
        if not relaxed_layers(pl_module):
            raise ValueError(f"TemperatureCallback found no relaxed-sampling layer in {type(pl_module).__name__}")

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: object, batch_idx: int) -> None:
        """Note the number of optimizer steps."""
        self._steps = trainer.global_step

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        """Log the temperature that the batch used, and advance the layers if an optimizer stepped."""
        layers = relaxed_layers(pl_module)
        every = trainer.log_every_n_steps  # type: ignore[attr-defined]
        steps = trainer.fit_loop.epoch_loop._batches_that_stepped + 1
        if (every > 0 and steps % every == 0) or trainer.is_last_batch:
            temperatures = [layer.current_temperature().detach() for layer in layers]
            pl_module.log(self.name, torch.stack(temperatures).mean())
        if trainer.global_step > self._steps:
            for layer in layers:
                layer.advance()


def relaxed_layers(module: LightningModule) -> list[Annealed]:
    """Return all relaxed-sampling layers of a module."""
    return [part for part in module.modules() if isinstance(part, Annealed)]
