"""Exponential moving averages of a model's parameters: the raw ones are trained, the averages are evaluated and kept.

Averages of the iterates: Polyak & Juditsky 1992. They start from the initial weights. After optimizer step n,

    average <- d_n average + (1 - d_n) parameter,    d_n = min(decay, (1 + n) / (10 + n)).

The rising decay is that of TensorFlow's ``ExponentialMovingAverage``. The initial weights have a share of 1e-6 after 20
steps; with a constant decay of 0.999 it would be 0.37 after 1,000.

In a checkpoint, ``state_dict`` has the averages in the place of the parameters, and buffers as they are: who reads
weights reads the averages. The state of the callback has the decay, the number of updates, and the raw parameters,
from which a resumed run goes on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.strategies import DDPStrategy, SingleDeviceStrategy
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from ..ranges import check_numbers


class AveragedWeights(Callback):
    """Averages the parameters of any LightningModule, and validates, saves and leaves it with the averages.

    The averages are updated once per training batch in which an optimizer stepped, whatever the number of optimizers.
    They are kept in float32 at least. Parameters that need no gradient are left alone, and so are buffers: codebooks of
    moving averages, step counts, and the statistics of a batch norm are those of training.

    The module has the averages from the start of a validation until the next hook of training, and after training.

    Args:
        decay: of the averages, per optimizer step; 0.999 averages the last thousand steps or so.

    Attributes:
        updates: number of updates behind the averages.

    Raises:
        ValueError: a decay outside (0, 1). When training starts: a strategy that splits parameters over processes, or
            checkpoints of weights only, which would be the raw ones. When it is resumed: a checkpoint of another decay
            or without averages.

    Example:
        >>> from lightning.pytorch import Trainer
        >>> from gumbelzoo.callbacks import AveragedWeights
        >>> trainer = Trainer(max_steps=100, callbacks=[AveragedWeights(0.99)], accelerator="cpu", logger=False)
    """

    def __init__(self, decay: float = 0.999) -> None:
        check_numbers(**{"the decay of averaged weights (--ema)": decay})
        if not 0 < decay < 1:
            raise ValueError(f"the decay of averaged weights (--ema) must be > 0 and < 1, such as 0.999, got {decay}")
        self.decay = float(decay)
        self.updates = 0
        self._parameters: dict[str, nn.Parameter] = {}
        self._averages: dict[str, Tensor] = {}
        self._raw: dict[str, Tensor] | None = None  # while the module has the averages
        self._steps = 0  # optimizer steps at the start of the batch

    # -- training -----------------------------------------------------------------------------------------------------

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Forget an earlier fit."""
        if stage == "fit":
            self.updates, self._averages, self._raw = 0, {}, None

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start from the module's weights, or from those of the checkpoint."""
        _check_trainer(trainer)
        self._parameters = _trained(pl_module)
        start = self._averages or {name: value.detach().clone() for name, value in self._parameters.items()}
        self._averages = {
            name: start[name].to(value.device, torch.promote_types(value.dtype, torch.float32))
            for name, value in self._parameters.items()
        }

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Train the raw parameters."""
        self._put_raw()

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Train the raw parameters, and note the number of optimizer steps."""
        self._put_raw()
        self._steps = trainer.global_step

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Update the averages if an optimizer stepped."""
        if trainer.global_step == self._steps:
            return
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        averages = list(self._averages.values())
        with torch.no_grad():
            parameters = [value.to(average) for value, average in zip(self._parameters.values(), averages, strict=True)]
            get_ema_multi_avg_fn(decay)(averages, parameters, self.updates)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Show other callbacks the raw parameters; the validation has ended."""
        self._put_raw()

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Validate the averages."""
        if trainer.state.fn == "fit":
            self._put_averages()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leave the module with the averages."""
        self._put_averages()

    @torch.no_grad()
    def _put_averages(self) -> None:
        if self._raw is None:
            self._raw = {name: value.detach().clone() for name, value in self._parameters.items()}
            _copy(self._averages, self._parameters)

    @torch.no_grad()
    def _put_raw(self) -> None:
        if self._raw is not None:
            _copy(self._raw, self._parameters)
            self._raw = None

    # -- checkpoints --------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Return decay, number of updates and raw parameters; nothing before a fit."""
        if not self._parameters:
            return {}
        raw = {name: value.detach() for name, value in self._parameters.items()} if self._raw is None else self._raw
        return {"decay": self.decay, "updates": self.updates, "raw": raw}

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Put the averages in the place of the parameters, under each name of a tied one."""
        averages = {self._parameters[name]: average for name, average in self._averages.items()}
        for name, value in pl_module.named_parameters(remove_duplicate=False):
            if value in averages:
                checkpoint["state_dict"][name] = averages[value]

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Take averages and raw parameters of a run that goes on. The module has the averages by now."""
        if trainer.state.fn != "fit":
            return
        state, averages = checkpoint["callbacks"].get(self.state_key), checkpoint["state_dict"]
        if state is None:
            raise ValueError("the checkpoint has no averaged weights, and they cannot begin within a run")
        self._parameters = _trained(pl_module)
        if not _is_state(state, self._parameters) or not _fit(averages, self._parameters):
            raise ValueError("the averaged weights of the checkpoint are damaged, or those of another model")
        if state["decay"] != self.decay:
            raise ValueError(f"the checkpoint has averages of decay {state['decay']}, not {self.decay}")
        self._averages = {name: averages[name] for name in self._parameters}
        self._raw, self.updates = dict(state["raw"]), state["updates"]


def decay_of(trainer: Trainer) -> float | None:
    """Return the decay of a trainer's averaged weights, None if it averages none."""
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
    return next((callback.decay for callback in callbacks if isinstance(callback, AveragedWeights)), None)


def check_averages_go_on(trainer: Trainer, checkpoint: Mapping[str, Any]) -> None:
    """Check that a fit without averages does not go on from a checkpoint that has them, else ValueError."""
    if decay_of(trainer) is None and AveragedWeights.__qualname__ in checkpoint.get("callbacks", {}):
        raise ValueError("the checkpoint is of a run that averages its weights; give its --ema")


def _check_trainer(trainer: Trainer) -> None:
    if not isinstance(trainer.strategy, (SingleDeviceStrategy, DDPStrategy)):
        raise ValueError(
            f"weights are averaged where each process has all of them, not with {type(trainer.strategy).__name__}; "
            "use one device, or the strategy ddp"
        )
    if any(getattr(callback, "save_weights_only", False) for callback in trainer.checkpoint_callbacks):
        raise ValueError("checkpoints with save_weights_only would have the raw weights; leave save_weights_only out")


def _trained(module: nn.Module) -> dict[str, nn.Parameter]:
    """Parameters that need a gradient, by their first name."""
    return {name: value for name, value in module.named_parameters() if value.requires_grad}


def _copy(source: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> None:
    for name, value in target.items():
        value.copy_(source[name])


def _is_state(state: Any, parameters: Mapping[str, Tensor]) -> bool:
    """True for what ``state_dict`` returns of a module with these parameters."""
    return (
        isinstance(state, dict)
        and state.keys() == {"decay", "updates", "raw"}
        and type(state["decay"]) is float
        and type(state["updates"]) is int
        and state["updates"] >= 0
        and isinstance(state["raw"], dict)
        and state["raw"].keys() == parameters.keys()
        and _fit(state["raw"], parameters)
    )


def _fit(tensors: Mapping[str, Any], parameters: Mapping[str, Tensor]) -> bool:
    """True if there is a tensor of the same shape for each parameter."""
    return all(
        isinstance(tensors.get(name), Tensor) and tensors[name].shape == value.shape
        for name, value in parameters.items()
    )
