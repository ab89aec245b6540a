"""A network as a list of layers and one array of weights, which ``page/network.js`` computes.

A layer is ``{"op": name, ...}`` with plain values; a weight is ``{"offset": first number, "shape": [...]}``. There is
no batch. Axes: ``c h w`` map of one image, ``i`` and ``o`` features or channels.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from einops.layers.torch import Rearrange
from torch import Tensor, nn

from ...models.networks.convolutional import ResidualBlock
from ...models.networks.upsampling import TransposedConv2d

Layer = dict[str, Any]
MAX_NUMBERS = 1 << 24  # of all weights, 64 MiB


class Weights:
    """Numbers of all layers, one tensor after the other."""

    def __init__(self) -> None:
        self.parts: list[Tensor] = []
        self.size = 0

    def add(self, tensor: Tensor) -> dict[str, Any]:
        """Append a tensor and return its place.

        Raises:
            ValueError: together the weights are too large for a page.
        """
        place = {"offset": self.size, "shape": list(tensor.shape)}
        self.parts.append(tensor.detach().float().flatten())
        self.size += tensor.numel()
        if self.size > MAX_NUMBERS:
            raise ValueError(f"its weights are more than {MAX_NUMBERS * 4 >> 20} MiB, too large for a page")
        return place

    def numbers(self) -> Tensor:
        """Return all numbers, float32."""
        return torch.cat(self.parts)

    def content(self) -> bytes:
        """Return all numbers as little-endian float32."""
        return self.numbers().numpy().astype(np.dtype("<f4")).tobytes()


def layers_of(module: nn.Module, x: Tensor, weights: Weights) -> tuple[list[Layer], Tensor]:
    """Describe a network; each layer computes ``x`` once, so that shapes are known.

    Args:
        module: in eval mode.
        x: an input with a batch of 1.
        weights: where the numbers go.

    Returns:
        The layers, and the network's output.

    Raises:
        ValueError: a layer that the page does not compute; it is named.
    """
    if isinstance(module, ResidualBlock):
        branch, y = layers_of(module.branch, x, weights)
        return [{"op": "residual", "branch": branch}], x + y
    if isinstance(module, nn.Sequential):
        found: list[Layer] = []
        for layer in module:
            more, x = layers_of(layer, x, weights)
            found += more
        return found, x
    describe = LAYERS.get(type(module))
    if describe is None:
        raise ValueError(f"its layer {type(module).__name__} has no form in the browser")
    y = module(x.clone())  # some activations work in place
    return [{**describe(module, weights), "shape": list(y.shape[1:])}], y


def affine(scale: Tensor, shift: Tensor, weights: Weights) -> Layer:
    """Describe scale * x + shift; each is one number, one per channel ``c``, or one per value ``c h w``."""
    return {"op": "affine", "scale": weights.add(scale), "shift": weights.add(shift)}


def linear(weight: Tensor, bias: Tensor | None, weights: Weights) -> Layer:
    """Describe W x + b, ``i -> o``."""
    return {"op": "linear", "weight": weights.add(weight), "bias": _optional(bias, weights)}


def convolution(weight: Tensor, bias: Tensor | None, stride: int, padding: int, weights: Weights) -> Layer:
    """Describe a convolution with a square kernel, ``i h w -> o h' w'``."""
    place = {"weight": weights.add(weight), "bias": _optional(bias, weights)}
    return {"op": "convolution", **place, "stride": stride, "padding": padding}


def _linear(module: nn.Module, weights: Weights) -> Layer:
    assert isinstance(module, nn.Linear)
    return linear(module.weight, module.bias, weights)


def _convolution(module: nn.Module, weights: Weights) -> Layer:
    assert isinstance(module, nn.Conv2d)
    stride, padding = _square(module)
    return convolution(module.weight, module.bias, stride, padding, weights)


def _transposed(module: nn.Module, weights: Weights) -> Layer:
    assert isinstance(module, nn.ConvTranspose2d)
    stride, padding = _square(module)  # the output padding shows in the shape
    place = {"weight": weights.add(module.weight), "bias": _optional(module.bias, weights)}
    return {"op": "transposed", **place, "stride": stride, "padding": padding}


def _batch_norm(module: nn.Module, weights: Weights) -> Layer:
    assert isinstance(module, nn.BatchNorm2d)
    assert module.running_mean is not None and module.running_var is not None
    scale = module.weight / (module.running_var + module.eps).sqrt()
    return affine(scale, module.bias - scale * module.running_mean, weights)


def _square(module: nn.Conv2d | nn.ConvTranspose2d) -> tuple[int, int]:
    """Return stride and padding; ValueError for a convolution of another kind than ours."""
    stride, padding = module.stride, module.padding
    plain = module.groups == 1 and set(module.dilation) == {1} and module.padding_mode == "zeros"
    if not plain or isinstance(padding, str) or len({*stride}) > 1 or len({*padding}) > 1:
        raise ValueError(f"its layer {module} has no form in the browser")
    return stride[0], int(padding[0])


def _optional(bias: Tensor | None, weights: Weights) -> dict[str, Any] | None:
    return None if bias is None else weights.add(bias)


def _named(op: str) -> Callable[[nn.Module, Weights], Layer]:
    return lambda module, weights: {"op": op}


LAYERS: dict[type[nn.Module], Callable[[nn.Module, Weights], Layer]] = {
    nn.Linear: _linear,
    nn.Conv2d: _convolution,
    TransposedConv2d: _transposed,
    nn.BatchNorm2d: _batch_norm,
    nn.ReLU: _named("relu"),
    nn.Tanh: _named("tanh"),
    nn.Flatten: _named("reshape"),
    nn.Unflatten: _named("reshape"),
    Rearrange: _named("reshape"),
}


def take(numbers: Tensor, place: dict[str, Any]) -> Tensor:
    """Return a tensor of the weights by its place."""
    first = place["offset"]
    return numbers[first : first + math.prod(place["shape"])].reshape(place["shape"])
