"""Small image encoders and decoders, by name. Axes: ``b`` batch, ``c h w`` image, ``d`` features.

An encoder maps images ``b c h w`` to features ``b d``; a decoder maps features ``b d`` to one logit per pixel
``b c h w``, without a bias of its own in the last layer: the model adds one per pixel.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from einops.layers.torch import Rearrange
from torch import nn

from ...registry import Registry

NetworkFactory = Callable[[Sequence[int], Sequence[int], int, str], nn.Module]
ENCODERS: Registry[NetworkFactory] = Registry("encoder")
DECODERS: Registry[NetworkFactory] = Registry("decoder")
ACTIVATIONS: Registry[type[nn.Module]] = Registry("activation")
ACTIVATIONS.register("relu")(nn.ReLU)
ACTIVATIONS.register("tanh")(nn.Tanh)


@ENCODERS.register("mlp")
def mlp_encoder(image_shape: Sequence[int], hidden: Sequence[int], features: int, activation: str) -> nn.Module:
    """Linear layers of the widths ``hidden`` with the activation between them."""
    c, h, w = image_shape
    return nn.Sequential(Rearrange("b c h w -> b (c h w)"), *_mlp([c * h * w, *hidden, features], activation))


@DECODERS.register("mlp")
def mlp_decoder(image_shape: Sequence[int], hidden: Sequence[int], features: int, activation: str) -> nn.Module:
    """The mirror image of the encoder: the widths ``hidden`` from the last to the first."""
    c, h, w = image_shape
    layers = _mlp([features, *reversed(hidden), c * h * w], activation, last_bias=False)
    return nn.Sequential(*layers, Rearrange("b (c h w) -> b c h w", c=c, h=h))


@ENCODERS.register("conv")
def conv_encoder(image_shape: Sequence[int], hidden: Sequence[int], features: int, activation: str) -> nn.Module:
    """4x4 convolutions of stride 2 for all widths but the last, which is a linear layer's."""
    c, h, w = image_shape
    *channels, width = _conv_widths(image_shape, hidden)
    factor = 2 ** len(channels)
    layers: list[nn.Module] = []
    for before, after in pairwise([c, *channels]):
        layers += [nn.Conv2d(before, after, kernel_size=4, stride=2, padding=1), ACTIVATIONS[activation]()]
    flat = channels[-1] * (h // factor) * (w // factor)
    return nn.Sequential(*layers, Rearrange("b c h w -> b (c h w)"), *_mlp([flat, width, features], activation))


@DECODERS.register("conv")
def conv_decoder(image_shape: Sequence[int], hidden: Sequence[int], features: int, activation: str) -> nn.Module:
    """The mirror image of the convolutional encoder, with transposed convolutions."""
    c, h, w = image_shape
    *channels, width = _conv_widths(image_shape, hidden)
    factor = 2 ** len(channels)
    flat = channels[-1] * (h // factor) * (w // factor)
    layers: list[nn.Module] = [*_mlp([features, width, flat], activation), ACTIVATIONS[activation]()]
    layers.append(Rearrange("b (c h w) -> b c h w", h=h // factor, w=w // factor))
    widths = [*reversed(channels), c]
    for index, (before, after) in enumerate(pairwise(widths)):
        last = index == len(widths) - 2
        layers.append(nn.ConvTranspose2d(before, after, kernel_size=4, stride=2, padding=1, bias=not last))
        layers += [] if last else [ACTIVATIONS[activation]()]
    return nn.Sequential(*layers)


def _mlp(widths: Sequence[int], activation: str, last_bias: bool = True) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), ACTIVATIONS[activation]()]
    if not last_bias:
        layers[-2] = nn.Linear(widths[-2], widths[-1], bias=False)
    return layers[:-1]


def _conv_widths(image_shape: Sequence[int], hidden: Sequence[int]) -> Sequence[int]:
    factor = 2 ** (len(hidden) - 1)
    if len(hidden) < 2 or image_shape[1] % factor or image_shape[2] % factor:
        raise ValueError(
            f"a convolutional network halves the image {len(hidden) - 1} times with hidden={list(hidden)}; it needs at "
            f"least two widths (channels, then one linear) and height and width divisible by {factor}, "
            f"got images of shape {tuple(image_shape)}"
        )
    return hidden
