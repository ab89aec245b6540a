"""Networks between images and a grid of vectors, by name, and the grid that two of them share.

Axes: ``b`` batch, ``c h w`` image, ``d h' w'`` grid of vectors, ``o`` outputs per pixel position.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from torch import nn

from ...registry import Registry, Spec
from .shapes import output_shape

# Modules ``b c h w -> b d h' w'``; ``dim`` is d.
GRID_ENCODERS: Registry[Callable[..., nn.Module]] = Registry("grid encoder", context=("image_shape", "dim"))
# Modules ``b d h' w' -> b o h w``; ``outputs`` is o.
GRID_DECODERS: Registry[Callable[..., nn.Module]] = Registry("grid decoder", context=("image_shape", "dim", "outputs"))


def encoder_grid(encoder: Spec, image_shape: Sequence[int], dim: int) -> tuple[int, int]:
    """Return the grid ``h' w'`` of an encoder.

    Raises:
        ValueError: its output is no grid of vectors of width ``dim``; errors of the network.
    """
    name, _ = GRID_ENCODERS.read(encoder)
    label = f"{GRID_ENCODERS.kind} '{name}'"
    build = partial(GRID_ENCODERS.build, encoder, image_shape=image_shape, dim=dim)
    made = output_shape(label, build, image_shape)
    if len(made) != 3 or made[0] != dim:
        raise ValueError(
            f"the {label} maps images of shape {tuple(image_shape)} to shape {made}; it must give ({dim}, h, w), "
            f"vectors of width dim={dim} at the positions of a grid"
        )
    return made[1:]


def grid_of(encoder: Spec, decoder: Spec, image_shape: Sequence[int], dim: int, outputs: int) -> tuple[int, int]:
    """Return the grid ``h' w'`` of an encoder, and check that a decoder maps it to the size of the image.

    The quantizer needs the grid, and is built before the networks: seeds draw its codebook first.

    Raises:
        ValueError: it does not; errors of the networks.
    """
    grid = encoder_grid(encoder, image_shape, dim)
    made = decoder_shape(decoder, image_shape, dim, outputs, grid)
    expected = (outputs, *image_shape[1:])
    if made != expected:
        raise ValueError(
            f"the decoder maps the grid {grid[0]} x {grid[1]} to outputs of shape {made}, and images need {expected}; "
            "give --model.decoder as many widths, or multipliers, as --model.encoder"
        )
    return grid


def decoder_shape(
    decoder: Spec, image_shape: Sequence[int], dim: int, outputs: int, grid: Sequence[int]
) -> tuple[int, ...]:
    """Return the shape of a decoder's output for a grid ``h' w'``; errors are those of the network."""
    name, _ = GRID_DECODERS.read(decoder)
    build = partial(GRID_DECODERS.build, decoder, image_shape=image_shape, dim=dim, outputs=outputs)
    return output_shape(f"{GRID_DECODERS.kind} '{name}'", build, (dim, *grid))
