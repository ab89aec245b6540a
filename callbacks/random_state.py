"""Random state: exact across a resume, different on each rank, unchanged by evaluation."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from lightning.pytorch import Callback, LightningModule, Trainer

KEY = "random_state"
VALIDATION_SEED = 0


def capture() -> dict[str, Any]:
    """Return the state of Python's, NumPy's and torch's generators, as ``torch.load(weights_only=True)`` reads it."""
    name, keys, *rest = np.random.get_state(legacy=True)  # noqa: NPY002 - the state to keep is the global one
    return {
        "python": random.getstate(),
        "numpy": (name, [int(key) for key in keys], *rest),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def restore(state: dict[str, Any]) -> None:
    """Set all generators to a captured state."""
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))
    name, keys, *rest = state["numpy"]
    np.random.set_state((name, np.array(keys, dtype=np.uint32), *rest))  # noqa: NPY002
    torch.set_rng_state(state["torch"])
    if len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["cuda"])


class RandomState(Callback):
    """Stores the random state of every rank in each checkpoint, and offsets the seed by rank when a fit starts.

    It is made once the model is built. Several processes set up the model from the random state of that moment, as one
    process does: Lightning seeds them again in between.

    Validation has a stream of its own. It does not change training, and two validations of the same weights agree.
    """

    def __init__(self) -> None:
        self._resumed: list[dict[str, Any]] = []
        self._training: dict[str, Any] = {}
        self._built = capture()

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Restore the state of several processes, whose parts that depend on the data are built next."""
        if trainer.world_size > 1:
            restore(self._built)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Gather the training states of all ranks; Lightning calls this hook on each."""
        states = [self._training or capture()]
        if trainer.world_size > 1:
            states = states * trainer.world_size
            dist.all_gather_object(states, states[0])
        checkpoint[KEY] = states

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Keep the states until training starts, since setup draws random numbers."""
        self._resumed = checkpoint.get(KEY, [])

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Restore the state of this rank, or offset the seed by the rank."""
        rank = trainer.global_rank
        if rank < len(self._resumed):
            restore(self._resumed[rank])
        else:
            torch.manual_seed(torch.initial_seed() + rank)
        self._resumed = []

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Switch from the training stream to that of validation."""
        self._training = capture()
        torch.manual_seed(VALIDATION_SEED + trainer.global_rank)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Restore the training stream. Checkpoints are written after this hook."""
        restore(self._training)
        self._training = {}

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Seed again: metrics do not depend on numbers drawn while the model was built."""
        torch.manual_seed(torch.initial_seed() + trainer.global_rank)
