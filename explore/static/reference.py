"""The layers of ``graph.py`` in torch: what is written is computed once more and compared with the model.

Axes: ``n`` latents, ``k`` categories, ``d`` width of a code, ``c h w`` map of one image.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .graph import Layer, take


def run(layers: list[Layer], x: Tensor, numbers: Tensor) -> Tensor:
    """Compute the layers for one input."""
    for layer in layers:
        x = OPS[layer["op"]](layer, x, numbers)
    return x


def _affine(layer: Layer, x: Tensor, numbers: Tensor) -> Tensor:
    scale, shift = (_broadcast(take(numbers, layer[name]), x) for name in ("scale", "shift"))
    return scale * x + shift


def _broadcast(values: Tensor, x: Tensor) -> Tensor:
    """Repeat one number, or one per channel, over x."""
    return values.flatten().repeat_interleave(x.numel() // values.numel()).reshape(x.shape)


def _linear(layer: Layer, x: Tensor, numbers: Tensor) -> Tensor:
    return F.linear(x, *_parameters(layer, numbers))


def _convolution(layer: Layer, x: Tensor, numbers: Tensor) -> Tensor:
    return F.conv2d(x, *_parameters(layer, numbers), stride=layer["stride"], padding=layer["padding"])


def _transposed(layer: Layer, x: Tensor, numbers: Tensor) -> Tensor:
    weight, bias = _parameters(layer, numbers)
    stride, padding = layer["stride"], layer["padding"]
    smallest = [stride * (side - 1) - 2 * padding + weight.shape[-1] for side in x.shape[1:]]
    extra = [made - side for made, side in zip(layer["shape"][1:], smallest, strict=True)]
    return F.conv_transpose2d(x, weight, bias, stride, padding, output_padding=extra)


def _parameters(layer: Layer, numbers: Tensor) -> tuple[Tensor, Tensor | None]:
    bias = layer["bias"]
    return take(numbers, layer["weight"]), None if bias is None else take(numbers, bias)


def _one_hot(layer: Layer, x: Tensor, numbers: Tensor) -> Tensor:
    return F.one_hot(x, layer["categories"]).flatten().float()


def _embed(layer: Layer, x: Tensor, numbers: Tensor) -> Tensor:
    return take(numbers, layer["table"])[x].T.reshape(layer["shape"])


OPS: dict[str, Callable[[Layer, Tensor, Tensor], Tensor]] = {
    "affine": _affine,
    "linear": _linear,
    "convolution": _convolution,
    "transposed": _transposed,
    "relu": lambda layer, x, numbers: x.relu(),
    "tanh": lambda layer, x, numbers: x.tanh(),
    "sigmoid": lambda layer, x, numbers: x.sigmoid(),
    "reshape": lambda layer, x, numbers: x.reshape(layer["shape"]),
    "positions": lambda layer, x, numbers: x.flatten(1).T,  # k h w -> n k
    "residual": lambda layer, x, numbers: x + run(layer["branch"], x, numbers),
    "one_hot": _one_hot,
    "embed": _embed,
}


@torch.no_grad()
def differences(content: dict[str, Any], numbers: Tensor, images: Tensor, codes: Tensor, decoded: Tensor) -> float:
    """Return the largest difference of decoded values, or infinity where a code differs.

    Args:
        content: of ``model.json``.
        numbers: all weights.
        images: ``b c h w``.
        codes: that the model gives them, ``b n``.
        decoded: images of the codes, ``b c h w``.
    """
    worst = 0.0
    for image, code, expected in zip(images, codes, decoded, strict=True):
        scores = run(content["encoder"], image, numbers)  # n k
        chosen = scores.gather(-1, code[:, None])[:, 0]
        if bool((scores.amax(-1) - chosen > 1e-4 * (1 + chosen.abs())).any()):  # nearer ties are decided by rounding
            return float("inf")
        worst = max(worst, float((run(content["decoder"], code, numbers) - expected).abs().max()))
    return worst
