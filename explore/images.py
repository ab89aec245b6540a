"""Drawn images, samples and paths of an image model, for work by hand on a page. Pure functions.

Axes: ``b`` images, ``c h w`` one image, ``H W`` picture.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..callbacks.figures import draw_completions
from ..callbacks.pictures import path_grid, sample_grid

MAX_DRAWN = 64  # pixels of the side of an image that is drawn by hand
MAX_SAMPLES, MAX_STEPS = 64, 16
MAX_PIXELS = 1 << 24  # of all images in a picture


def image_shape(model: Any) -> tuple[int, int, int] | None:
    """Return the shape ``c h w`` of the images that a model takes; None for a model of something else."""
    shape = getattr(model, "image_shape", None) or getattr(model, "size", None)
    return None if shape is None else (shape[0], shape[1], shape[2])


def own_images(model: Any) -> str:
    """Return what ``first_image`` takes from a model, in words; nothing if it has no images of its own."""
    if hasattr(model, "examples"):
        return "a training image that the model has kept"
    return "a sample of the model" if hasattr(model, "sample") else ""


@torch.no_grad()
def first_image(model: Any, seed: int = 0) -> Tensor:
    """Return an image of the model's own, ``1 c h w``: one that it has kept or a sample; a black one if it has none."""
    shape = image_shape(model)
    assert shape is not None
    if (kept := getattr(model, "examples", None)) is not None:
        return kept[seed % len(kept)][None].clone()
    if hasattr(model, "sample"):
        return model.sample(1, generator=torch.Generator().manual_seed(seed)).clamp(0, 1)
    return torch.zeros(1, *shape)


def drawn_image(levels: str, shape: Sequence[int], binary: bool = False) -> Tensor:
    """Read a drawing, ``-> 1 c h w`` in [0, 1], grey in all channels.

    Args:
        levels: two hexadecimal digits for each pixel, row by row.
        shape: ``c h w``.
        binary: round the levels to 0 and 1, as the model's data are.

    Raises:
        ValueError: another number of pixels, something else than digits, or an image too large to be drawn.
    """
    c, h, w = shape
    if max(h, w) > MAX_DRAWN:
        raise ValueError(f"images of {h} x {w} pixels are too large to draw by hand; take a test image")
    try:
        pixels = bytes.fromhex(levels) if len(levels) == 2 * h * w else b""
    except ValueError:
        pixels = b""
    if len(pixels) != h * w:
        raise ValueError(f"a drawing must have {h} x {w} pixels of two hexadecimal digits")
    image = torch.frombuffer(bytearray(pixels), dtype=torch.uint8).reshape(1, 1, h, w) / 255
    return (image.round() if binary else image).expand(1, c, h, w).clone()


@torch.no_grad()
def sample_picture(model: Any, n: int, seed: int, temperature: float, **options: Any) -> Tensor:
    """Draw samples, ``3 H W``; the same seed gives the same ones.

    Args:
        model: a model with ``sample``.
        n: number of samples.
        seed: of the noise.
        temperature: of the prior.
        options: those of ``model.sample_options``; None leaves one out.

    Raises:
        ValueError: too many samples, or too large ones; errors of ``model.sample``.
    """
    if not 1 <= n <= MAX_SAMPLES:
        raise ValueError(f"the number of samples must lie between 1 and {MAX_SAMPLES}, got {n}")
    check_pixels(n, model.image_shape)
    given = {name: value for name, value in options.items() if value is not None}
    noise = torch.Generator().manual_seed(seed)
    return sample_grid(model.sample(n, temperature=temperature, generator=noise, **given))


@torch.no_grad()
def path_picture(model: Any, first: Tensor, last: Tensor, steps: int) -> Tensor:
    """Draw the path between two images ``1 c h w``, ``3 H W``.

    Raises:
        ValueError: too many steps, or fewer than 2.
    """
    if not 2 <= steps <= MAX_STEPS:
        raise ValueError(f"the number of steps must lie between 2 and {MAX_STEPS}, got {steps}")
    return path_grid(first, model.interpolate(first, last, steps), last)


@torch.no_grad()
def completion_picture(model: Any, image: Tensor, seed: int) -> Tensor:
    """Draw completions of an image ``1 c h w`` from its upper half, ``3 H W``; the same seed gives the same ones."""
    return draw_completions(model, image, torch.Generator().manual_seed(seed))


def check_pixels(images: int, shape: Sequence[int]) -> None:
    """Check that images ``c h w`` have no more pixels than a picture may have, else ValueError."""
    if images * math.prod(shape) > MAX_PIXELS:
        raise ValueError(f"{images} images of {shape[1]} x {shape[2]} pixels are too large a picture")
