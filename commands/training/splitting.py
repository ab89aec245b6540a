"""What goes with ``--trainer.strategy=model_parallel``: models, options, checkpoints. Nothing is split here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jsonargparse import Namespace
from lightning.pytorch import Trainer

from ...models import ZooModel
from ...models.quantizers.codebook import Codebook
from ...pretrained.run_files import SHARDS

MODEL_PARALLEL = "model_parallel"
OPTION = f"--trainer.strategy={MODEL_PARALLEL}"


def prepare_strategy(options: Namespace) -> None:
    """Let Lightning know the strategy, if it is asked for.

    Args:
        options: of ``fit``.

    Raises:
        ValueError: an option that does not go with it.
    """
    if options.trainer.strategy != MODEL_PARALLEL:
        return
    if options.ema is not None:
        raise ValueError(f"--ema is not for {OPTION}: weights are averaged where each process has all of them")
    if options.compile:
        raise ValueError(f"--compile is not for {OPTION}, which gathers parameters between the networks' parts")
    if str(options.trainer.precision) not in ("None", "32-true", "32", "bf16-mixed"):
        raise ValueError(f"--trainer.precision of {OPTION} must be 32-true or bf16-mixed")
    from . import sharded  # noqa: F401  (importing registers it)


def check_splits(strategy: Any, model: ZooModel) -> None:
    """Check that a model is split by its ``configure_model``; the ValueError says why not, and what to do."""
    if strategy != MODEL_PARALLEL or model.splits:
        return
    if not model.automatic_optimization:
        reason = "which steps its optimizers by itself"
    elif has_averages(model):
        reason = "whose codebook of moving averages is whole in every process"
    else:
        reason = "which is whole in every process"
    raise ValueError(f"{OPTION} is not for a {model.registry_name} model, {reason}; use --trainer.strategy=ddp")


def has_averages(model: ZooModel) -> bool:
    """Return True for a model with a codebook of moving averages."""
    return any(isinstance(module, Codebook) and module.ema for module in model.modules())


def check_split_goes_on(trainer: Trainer, checkpoint: Mapping[str, Any]) -> None:
    """Check that a fit that is not split over processes does not go on from a checkpoint that is, else ValueError."""
    if SHARDS in checkpoint and not getattr(trainer.strategy, "reads_shards", False):
        raise ValueError(f"the checkpoint is of a run that is split over processes; give its {OPTION}")
