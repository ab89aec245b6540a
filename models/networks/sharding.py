"""Parameters of a network split over processes: fully sharded data parallelism.

Rajbhandari et al. 2020 (arXiv:1910.02054), stage 3, by torch's ``fully_shard`` (FSDP2). Each process keeps a part of
every parameter, of its gradient and of the optimizer's state. The parameters of one block at a time are gathered.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import DeviceMesh


def shard(network: nn.Module, blocks: Iterable[nn.Module], methods: Iterable[str], mesh: DeviceMesh) -> None:
    """Split the parameters of a network in place; those of the first process are taken. Nothing if they are split.

    Args:
        network: all its parameters need a gradient.
        blocks: parts that are gathered one at a time when they are called; the rest is gathered as a whole.
        methods: of the network, which compute with its parameters beside ``forward``.
        mesh: of the processes, with one dimension.
    """
    from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method

    if isinstance(network, FSDPModule):
        return
    for parameter in network.parameters():
        first = parameter.detach().to(mesh.device_type)
        dist.broadcast(first, src=0, group=mesh.get_group())
        parameter.data.copy_(first)
    for block in blocks:
        fully_shard(block, mesh=mesh)
    fully_shard(network, mesh=mesh)
    for method in methods:
        register_fsdp_forward_method(network, method)
