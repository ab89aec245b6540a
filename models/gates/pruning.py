"""Physical removal of channels: smaller layers whose outputs are those of the gated ones.

A product with 0 saves nothing; operations are counted on the network without the channels. Axes: ``n`` channels.
"""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode


def gated_inputs(layer: nn.Conv2d | nn.Linear, gates: Tensor) -> nn.Conv2d | nn.Linear:
    """Return a layer that takes the open channels only, scaled by their gates.

    Args:
        layer: without groups; its input has n channels, or n equal groups of features in this order.
        gates: ``n``, 0 for a closed channel.

    Returns:
        A new layer; its output for the open channels of x is that of ``layer`` for gates * x.

    Raises:
        ValueError: a layer with groups, inputs that are not a multiple of n, no open channel.
    """
    _, inputs, *_ = layer.weight.shape
    if getattr(layer, "groups", 1) != 1 or inputs % len(gates):
        raise ValueError(f"cannot remove channels of {layer}: it must be without groups and have {len(gates)} inputs")
    scale = gates.repeat_interleave(inputs // len(gates))
    keep = _open(scale)
    smaller = deepcopy(layer)
    weight = layer.weight.index_select(1, keep) * scale[keep].reshape(-1, *[1] * (layer.weight.ndim - 2))
    smaller.weight = nn.Parameter(weight.detach())
    setattr(smaller, "in_channels" if isinstance(layer, nn.Conv2d) else "in_features", len(keep))
    return smaller


def kept_outputs(layer: nn.Conv2d | nn.Linear, gates: Tensor) -> nn.Conv2d | nn.Linear:
    """Return a layer that computes the open channels only; ``gates`` are ``n``, one for each output channel.

    Raises:
        ValueError: a layer with groups or another number of outputs, no open channel.
    """
    if getattr(layer, "groups", 1) != 1 or layer.weight.shape[0] != len(gates):
        raise ValueError(f"cannot remove channels of {layer}: it must be without groups and have {len(gates)} outputs")
    keep = _open(gates)
    smaller = deepcopy(layer)
    smaller.weight = nn.Parameter(layer.weight.index_select(0, keep).detach())
    if layer.bias is not None:
        smaller.bias = nn.Parameter(layer.bias.index_select(0, keep).detach())
    setattr(smaller, "out_channels" if isinstance(layer, nn.Conv2d) else "out_features", len(keep))
    return smaller


def _open(gates: Tensor) -> Tensor:
    """Numbers of the open channels; ValueError if all are closed."""
    keep = gates.nonzero().squeeze(-1)
    if not len(keep):
        raise ValueError("every channel is closed, so nothing is left of the layer; open one or lower the penalty")
    return keep


@torch.no_grad()
def flops(network: nn.Module, x: Tensor) -> int:
    """Count the floating-point operations of matrix products and convolutions in a forward pass of ``x``."""
    with FlopCounterMode(display=False) as counter:
        network(x)
    return counter.get_total_flops()
