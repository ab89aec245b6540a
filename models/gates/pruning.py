"""Physical removal of units: smaller layers and networks whose outputs are those of the gated ones.

A product with 0 saves nothing; operations are counted on the network without the closed units. Axes: ``n`` channels or
units of a layer, ``b`` examples.
"""

from __future__ import annotations

from collections.abc import Sequence
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


class Select(nn.Module):
    """Features that are left, of those after ``Flatten``, ``b n -> b k``.

    Args:
        numbers: of the features, ``k``, from 0.
    """

    numbers: Tensor

    def __init__(self, numbers: Tensor) -> None:
        super().__init__()
        self.register_buffer("numbers", numbers)

    def forward(self, x: Tensor) -> Tensor:
        """Return the features."""
        return x.index_select(-1, self.numbers)


def merge_flattened(stages: Sequence[nn.Sequential], gates: Sequence[Tensor | None]) -> list[Tensor | None]:
    """Give the features after a ``Flatten`` the gates of their channels too.

    Args:
        stages: modules in a row, ``Flatten`` in a stage of its own before a linear layer.
        gates: on the input of each stage, ``n``, or None.

    Returns:
        Gates of each stage. A channel in front of ``Flatten`` is open, 1, if one of its features is.
    """
    merged = list(gates)
    for place, stage in enumerate(stages):
        channels = merged[place]
        if isinstance(stage[0], nn.Flatten) and channels is not None:
            own = merged[place + 1]
            layer = stages[place + 1][0]
            assert isinstance(layer, nn.Linear)
            features = channels.repeat_interleave(layer.in_features // len(channels)) * (1.0 if own is None else own)
            merged[place] = (features.view(len(channels), -1) != 0).any(-1).to(features)
            merged[place + 1] = features
    return merged


@torch.no_grad()
def without_closed(stages: Sequence[nn.Sequential], gates: Sequence[Tensor | None]) -> nn.Sequential:
    """Build a network without its closed units, whose outputs are those of the gated stages.

    Args:
        stages: modules in a row. The first of each is a convolution or linear layer, or ``Flatten`` alone.
        gates: on the input of each stage, ``n``, 0 for a closed unit; None for no gates.

    Raises:
        ValueError: all units of a place are closed.
    """
    merged, layers = [*merge_flattened(stages, gates), None], list[nn.Module]()
    for place, (layer, *others) in enumerate(stages):
        inputs, outputs = merged[place], merged[place + 1]
        if isinstance(layer, nn.Conv2d | nn.Linear):
            if inputs is not None:
                if place and isinstance(stages[place - 1][0], nn.Flatten):
                    layers.append(Select(_left(inputs, merged[place - 1])))
                layer = gated_inputs(layer, inputs)
            layer = layer if outputs is None else kept_outputs(layer, outputs)
        layers += [layer, *others]
    return nn.Sequential(*deepcopy(layers))


def _left(features: Tensor, channels: Tensor | None) -> Tensor:
    """Numbers of the open features among those of the open channels; all channels are open if None."""
    if channels is not None:
        features = features[channels.repeat_interleave(len(features) // len(channels)) != 0]
    return _open(features)


@torch.no_grad()
def flops(network: nn.Module, x: Tensor) -> int:
    """Count the floating-point operations of matrix products and convolutions in a forward pass of ``x``."""
    with FlopCounterMode(display=False) as counter:
        network(x)
    return counter.get_total_flops()
