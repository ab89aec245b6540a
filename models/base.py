"""Base class of all models: optimizer, named metrics, the temperature's step, the arguments that rebuild a model."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from numbers import Integral
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import lightning as L
import torch
from torch import Tensor

from ..interfaces import Batch
from ..ranges import check_positive, check_sizes, check_temperature, check_weights
from ..registry import Registry, from_options, plain
from .inputs import check_batch, check_levels, check_source
from .relaxed.annealed import Annealed
from .run_length import run_length

# A registry, whose entries a spec chooses from, or a frozen dataclass.
Part = Registry[Any] | type
VERBS = ("sample", "encode", "decode", "complete", "features", "logits", "probabilities")
M = TypeVar("M", bound="type[ZooModel]")


@dataclass(frozen=True)
class OptimizerConfig:
    """AdamW and its learning-rate schedule.

    Args:
        learning_rate: peak learning rate.
        weight_decay: decoupled weight decay of all parameters, also of biases, codebooks and log-temperatures.
        schedule: ``constant``, or ``cosine``, which falls to 0 at the end of training.
        warmup: optimizer steps over which the learning rate rises linearly; the first has 1 / warmup of the peak.

    Raises:
        ValueError: an unknown schedule, a learning rate that is not > 0, a negative weight decay or warm-up.
    """

    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    schedule: str = "constant"
    warmup: int = 0

    def __post_init__(self) -> None:
        if self.schedule not in ("constant", "cosine"):
            raise ValueError(f"optimizer.schedule must be one of constant, cosine, got '{self.schedule}'")
        check_positive(**{"optimizer.learning_rate": self.learning_rate})
        check_weights(**{"optimizer.weight_decay": self.weight_decay})
        check_sizes(0, **{"optimizer.warmup": self.warmup})


@dataclass(frozen=True)
class ModelCard:
    """The part of a model card that is the same for every release of a model.

    Attributes:
        use: what it is good for.
        limits: what it is not, and what its metrics do not say.
        example: Python that uses ``model``.
        pictures: figures of the model that a card opens with, in this order.
        note: a paragraph after them, with NAME for the release.
        metrics: test metrics shown in tables and on the hub, without ``test/``, most important first.
        task: the hub's name of what it does (``pipeline_tag``), such as text-generation; empty if none fits.
    """

    use: str = "Research and teaching."
    limits: str = "None are known."
    example: str = "model"
    pictures: tuple[str, ...] = ("samples", "reconstructions", "completions")
    note: str = ""
    metrics: tuple[str, ...] = ()
    task: str = ""


class ZooModel(L.LightningModule):
    """Base class of all models; a subclass writes ``training_metrics`` and calls ``save_hyperparameters``.

    Every ``RelaxedCategorical`` inside advances once per optimizer step, whatever the number of optimizers, before the
    batch ends. A checkpoint written at the end of a batch already holds the step of the next one.
    """

    registry_name: ClassVar[str] = ""  # set by ``register_model``
    card: ClassVar[ModelCard] = ModelCard()
    parts: ClassVar[Mapping[str, Part]] = {"optimizer": OptimizerConfig}  # arguments that are specs or dataclasses
    sample_options: ClassVar[frozenset[str]] = frozenset()  # of ``sample``, besides n, temperature and generator
    networks: ClassVar[tuple[str, ...]] = ("encoder", "decoder", "network")  # submodules that ``--compile`` compiles
    batch_key: ClassVar[str | None] = None  # of the batches that it learns from: image, tokens, or None for any
    splits: ClassVar[bool] = False  # parameters over processes: ``configure_model`` does, given a device mesh
    monitor: str | None = "val/elbo"  # metric that selects ``best.ckpt``, lower is better; None selects none
    # suggestions for a loss that is not finite
    divergence_hint: str = (
        "a lower --model.optimizer.learning_rate, a higher temperature, or --trainer.gradient_clip_val=1.0"
    )
    optimizer_config: OptimizerConfig = OptimizerConfig()
    if TYPE_CHECKING:  # what some models can: without these, torch types an unknown attribute as Tensor | Module
        encode: Callable[..., Any]
        decode: Callable[..., Any]
        reconstruct: Callable[..., Any]
        sample: Callable[..., Any]
        interpolate: Callable[..., Any]
        complete: Callable[..., Any]
        features: Callable[..., Any]

    # -- description --------------------------------------------------------------------------------------------------

    def config(self) -> dict[str, Any]:
        """Return plain arguments from which ``type(model)(**model.config())`` is the same model, up to its weights."""
        return {name: plain(value) for name, value in self.hparams.items()}

    @classmethod
    def resolve(cls, arguments: dict[str, Any], load: Callable[[str], ZooModel]) -> dict[str, Any]:
        """Replace arguments that name a trained model by that model; ``load`` reads it. Constructors open no file."""
        return arguments

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Write ``config()`` as the checkpoint's arguments. Lightning calls this after it wrote its own."""
        checkpoint["hyper_parameters"] = self.config()

    # -- training -----------------------------------------------------------------------------------------------------

    def use_optimizer(self, optimizer: OptimizerConfig | Mapping[str, Any]) -> None:
        """Set the optimizer's options; ValueError for unknown or impossible ones."""
        self.optimizer_config = from_options(OptimizerConfig, optimizer)

    def forward(self, x: Tensor) -> Tensor:
        """Reconstruct images, ``b c h w -> b c h w``.

        Raises:
            NotImplementedError: a model that does not reconstruct; its methods are named.
        """
        if reconstruct := getattr(self, "reconstruct", None):
            return reconstruct(x)
        known = ", ".join(f"model.{name}" for name in VERBS if hasattr(self, name))
        raise NotImplementedError(f"a {self.registry_name} model has no forward pass of its own; use {known}")

    def training_metrics(self, batch: Batch) -> dict[str, Tensor]:
        """Return named scalars of one training batch; ``loss`` is the objective."""
        raise NotImplementedError

    def relaxed_layers(self) -> list[Annealed]:
        """Return all relaxed-sampling layers of the model."""
        return [module for module in self.modules() if isinstance(module, Annealed)]

    @property
    def source(self) -> Any:
        """The trainer's data module, an ``ImageSource`` or a ``TextSource``; None without one."""
        return getattr(self.trainer, "datamodule", None)

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Check the first batch of an epoch.

        Raises:
            ValueError: it has not what the model learns from, or images that are no floats in [0, 1].
        """
        if batch_idx == 0:
            if isinstance(batch, dict) and "image" in batch:
                check_levels(batch["image"])
            self._check_first(batch)

    def on_validation_batch_start(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Check the first batch of an epoch; ValueError if it has not what the model learns from."""
        if batch_idx == 0:
            self._check_first(batch)

    on_test_batch_start = on_validation_batch_start

    def _check_first(self, batch: Any) -> None:
        if self.batch_key is not None:
            check_batch(batch, self.batch_key)

    def configure_model(self) -> None:
        """Check that the trainer's data are of the model's kind; errors are those of ``check_source``."""
        if self.batch_key is not None and self.source is not None:
            check_source(self.source, self.batch_key)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Log metrics and temperature, advance the temperature, return the loss."""
        layers = self.relaxed_layers()
        metrics = self.training_metrics(batch)
        if self._logs_are_due():
            if layers:
                metrics["temperature"] = torch.stack([layer.current_temperature().detach() for layer in layers]).mean()
            named = {f"train/{name}": value.detach() for name, value in metrics.items()}
            self.log_dict(named, prog_bar=True, sync_dist=True)
        if (batch_idx + 1) % self.trainer.accumulate_grad_batches == 0 or self.trainer.is_last_batch:
            for layer in layers:
                layer.advance()
        return metrics["loss"]

    def _logs_are_due(self) -> bool:
        """True every ``log_every_n_steps`` optimizer steps and on the last batch of an epoch."""
        # A value that is logged and dropped costs as much as a layer of the network.
        every = self.trainer.log_every_n_steps  # type: ignore[attr-defined]
        written = every > 0 and (self.trainer.fit_loop.epoch_loop._batches_that_stepped + 1) % every == 0
        return written or self.trainer.is_last_batch

    def configure_optimizers(self) -> Any:
        """Return AdamW with a learning rate that is scheduled per step.

        Raises:
            ValueError: a cosine over a run that has no end.
        """
        config, groups, end = self.optimizer_config, self.parameter_groups(), self.schedule_length()
        # Fused takes a sixth off a small model's step. In mixed precision Lightning cannot clip its gradients.
        mixed = self._trainer is not None and str(self.trainer.precision).endswith("mixed")
        fused = (self.device.type == "cpu" and not mixed) or None
        optimizer = torch.optim.AdamW(groups, lr=config.learning_rate, weight_decay=config.weight_decay, fused=fused)
        ends = [math.inf if group.get("constant") else end for group in groups]
        factors: Any = [partial(learning_rate_factor, warmup=config.warmup, total=total) for total in ends]
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factors)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return the optimizer's groups. One with ``constant: True`` is exempt from the schedule after the warm-up."""
        return [{"params": list(self.parameters())}]

    def schedule_length(self) -> float:
        """Return the number of steps until the learning-rate schedule ends; infinite for a constant one."""
        if self.optimizer_config.schedule == "constant":
            return math.inf
        if math.isinf(total := run_length(self.trainer)):
            raise ValueError("optimizer.schedule 'cosine' needs an end: set --trainer.max_steps")
        return total


MODELS: Registry[type[ZooModel]] = Registry("model", base=ZooModel)


def register_model(name: str) -> Callable[[M], M]:
    """Class decorator that registers a model under ``name`` and sets its ``registry_name``."""

    def add(model: M) -> M:
        model.registry_name = name
        MODELS.register(name)(model)
        return model

    return add


def learning_rate_factor(step: int, warmup: int, total: float) -> float:
    """Return the factor of the peak learning rate: linear warm-up times half a cosine over ``total`` steps, or none."""
    rise = min(1.0, (step + 1) / warmup) if warmup else 1.0
    return rise * 0.5 * (1 + math.cos(math.pi * min(1.0, step / max(total, 1.0))))


def check_draws(n: int, temperature: float) -> None:
    """Check that n is a whole number >= 1, and the temperature as ``check_temperature`` does; else ValueError."""
    if not isinstance(n, Integral) or n < 1:
        raise ValueError(f"n must be a whole number >= 1, got {n}")
    check_temperature(temperature)


def lerp_path(start: Tensor, end: Tensor, steps: int) -> Tensor:
    """Return equally spaced points from ``start`` to ``end``, both included, ``b ...`` twice ``-> b s ...``."""
    weight = torch.linspace(0, 1, steps, dtype=start.dtype, device=start.device).reshape(-1, *[1] * (start.ndim - 1))
    return torch.lerp(start[:, None], end[:, None], weight)
