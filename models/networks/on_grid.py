"""Image encoders and decoders whose inner network works on a grid: every grid network also serves a VAE.

Axes: ``b`` batch, ``c h w`` image, ``e h' w'`` grid of vectors, ``d`` features.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from torch import nn

from ...ranges import check_sizes
from ...registry import Registry, Spec
from .grid import GRID_DECODERS, GRID_ENCODERS, decoder_shape, encoder_grid
from .image import DECODERS, ENCODERS

HALVINGS = 8  # the grid of a decoder is looked for up to this many


@ENCODERS.register("grid")
class GridEncoder(nn.Sequential):
    """A grid encoder, then one linear layer, ``b c h w -> b d``.

    Args:
        image_shape: ``c h w`` of the images.
        features: d.
        network: grid encoder, a name or ``{name: residual, channels: 32}``.
        dim: width e of its vectors.

    Raises:
        ValueError: a width below 1, an output that is no grid of such vectors; errors of the network.
    """

    parts: ClassVar[Mapping[str, Registry[Any]]] = {"network": GRID_ENCODERS}

    def __init__(self, image_shape: Sequence[int], features: int, network: Spec = "residual", dim: int = 8) -> None:
        check_sizes(dim=dim)
        positions = math.prod(encoder_grid(network, image_shape, dim))
        encoder = GRID_ENCODERS.build(network, image_shape=image_shape, dim=dim)
        super().__init__(encoder, nn.Flatten(), nn.Linear(dim * positions, features))


@DECODERS.register("grid")
class GridDecoder(nn.Sequential):
    """One linear layer, then a grid decoder, ``b d -> b c h w``.

    Args:
        image_shape: ``c h w`` of the images.
        features: d.
        network: grid decoder, a name or ``{name: residual, channels: 32}``.
        dim: width e of the vectors that it takes.

    Raises:
        ValueError: a width below 1, a network that maps no grid to the size of the image; errors of the network.
    """

    parts: ClassVar[Mapping[str, Registry[Any]]] = {"network": GRID_DECODERS}

    def __init__(self, image_shape: Sequence[int], features: int, network: Spec = "residual", dim: int = 8) -> None:
        check_sizes(dim=dim)
        grid = image_grid(network, image_shape, dim)
        decoder = GRID_DECODERS.build(network, image_shape=image_shape, dim=dim, outputs=image_shape[0])
        super().__init__(nn.Linear(features, dim * math.prod(grid)), nn.Unflatten(-1, (dim, *grid)), decoder)


def image_grid(decoder: Spec, image_shape: Sequence[int], dim: int) -> tuple[int, int]:
    """Return the grid ``h' w'`` that a decoder maps to an image: the image, halved as often as the decoder doubles.

    Raises:
        ValueError: there is none; errors of the network.
    """
    channels, height, width = image_shape
    for factor in (2**halvings for halvings in range(HALVINGS)):
        grid = (height // factor, width // factor)
        if height % factor or width % factor:
            break
        if decoder_shape(decoder, image_shape, dim, channels, grid) == tuple(image_shape):
            return grid
    name, _ = GRID_DECODERS.read(decoder)
    raise ValueError(
        f"{GRID_DECODERS.kind} '{name}' maps no grid to images of shape {tuple(image_shape)}, however often they are "
        "halved; give it fewer widths or multipliers"
    )
