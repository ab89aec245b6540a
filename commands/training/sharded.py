"""``--trainer.strategy=model_parallel``: parameters, gradients and optimizer states split over all processes (FSDP2).

Lightning's ``ModelParallelStrategy`` over one group of all processes. Its checkpoints are split as well, and replaced
as a whole: a kill leaves the earlier one.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.strategies import ModelParallelStrategy, StrategyRegistry
from torch import Tensor
from torch.distributed import checkpoint as dcp
from torch.distributed.checkpoint import state_dict as states
from torch.optim import Optimizer

from ...pretrained.run import read_checkpoint
from ...pretrained.run_files import SHARDS
from ...pretrained.shards import WEIGHTS, ShardWriter, load_shards, remove_shards, shards_of
from .splitting import MODEL_PARALLEL, OPTION


@StrategyRegistry.register(MODEL_PARALLEL, description="parameters split over all processes")
class ShardedStrategy(ModelParallelStrategy):
    """A model that splits itself in ``configure_model``, and its checkpoints.

    A checkpoint is the file that is asked for, with everything that is the same in all processes, and a folder of
    shards beside it. The file is written last, and names its folder.
    """

    reads_shards = True

    def __init__(self) -> None:
        super().__init__()
        self._shards: Path | None = None  # of the checkpoint that training goes on from

    def setup_environment(self) -> None:
        """Connect the processes; each one trains on data of its own."""
        self._data_parallel_size, self._tensor_parallel_size = self.num_nodes * self.num_processes, 1
        super().setup_environment()

    def optimizer_state(self, optimizer: Optimizer) -> dict[str, Any]:
        """Return this process's part of an optimizer's state; none before its first step."""
        optimizer = _plain(optimizer)
        if not optimizer.state:  # torch would fill it by a step without gradients, and count that
            return {"state": {}, "param_groups": optimizer.state_dict()["param_groups"]}
        assert self.model is not None
        return states.get_optimizer_state_dict(self.model, optimizer)

    # -- writing ------------------------------------------------------------------------------------------------------

    def save_checkpoint(self, checkpoint: dict[str, Any], filepath: Any, storage_options: Any = None) -> None:
        """Write the shards of all processes, then the file; an OSError names what could not be written."""
        path = Path(self.broadcast(str(filepath)))
        folder = path.with_name(self.broadcast(f"{path.stem}-shards-{secrets.token_hex(4)}"))
        tensors = {WEIGHTS + name: tensor for name, tensor in checkpoint["state_dict"].items()}
        groups = []
        for number, state in enumerate(checkpoint.get("optimizer_states", [])):
            tensors |= _flat(number, state)
            groups.append({"param_groups": state["param_groups"], "stepped": bool(state["state"])})
        dcp.save(tensors, storage_writer=ShardWriter(folder))
        if self.is_global_zero:
            whole = {**checkpoint, "state_dict": {}, "optimizer_states": groups, SHARDS: folder.name}
            self.checkpoint_io.save_checkpoint(whole, path)
            remove_shards(path, but=folder)

    def remove_checkpoint(self, filepath: Any) -> None:
        """Remove the file, then its shards."""
        super().remove_checkpoint(filepath)
        if self.is_global_zero:
            remove_shards(Path(filepath))

    # -- reading ------------------------------------------------------------------------------------------------------

    @property
    def restore_checkpoint_after_setup(self) -> bool:
        """False: callbacks are restored in the same order as with one device."""
        return False

    @property
    def lightning_restore_optimizer(self) -> bool:
        """True: ``load_optimizer_state_dict`` is called once there are optimizers."""
        return True

    def load_checkpoint(self, checkpoint_path: Any, weights_only: bool | None = None) -> dict[str, Any]:
        """Read the file, and note its shards."""
        path = Path(checkpoint_path)
        content = read_checkpoint(path, whole=False)
        self._shards = shards_of(path, content)
        if self._shards is None:
            raise ValueError(f"the checkpoint is of a run that is not split over processes; leave {OPTION} out")
        return content

    def load_model_state_dict(self, checkpoint: Mapping[str, Any], strict: bool = True) -> None:
        """Read this process's part of the weights."""
        assert self._shards is not None and self.model is not None
        weights = states.get_model_state_dict(self.model)
        load_shards(self._shards, {WEIGHTS + name: tensor for name, tensor in weights.items()})
        self.model.load_state_dict(weights, strict=strict)

    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        """Read this process's part of the optimizers' states."""
        assert self._shards is not None and self.model is not None
        for number, optimizer in enumerate(self.optimizers):
            kept = checkpoint["optimizer_states"][number]
            if not kept["stepped"]:
                continue
            state = states.get_optimizer_state_dict(self.model, _plain(optimizer))
            load_shards(self._shards, _flat(number, state))
            state["param_groups"] = kept["param_groups"]
            states.set_optimizer_state_dict(self.model, _plain(optimizer), state)


def _plain(optimizer: Optimizer | LightningOptimizer) -> Optimizer:
    return optimizer._optimizer if isinstance(optimizer, LightningOptimizer) else optimizer


def _flat(number: int, state: Mapping[str, Any]) -> dict[str, Tensor]:
    """Tensors of an optimizer's state by one name."""
    return {
        f"optimizer/{number}/{key}/{name}": tensor
        for name, values in state["state"].items()
        for key, tensor in values.items()
    }
