"""Codes of images, changed one at a time, and a codebook as tiles, for work by hand on a page. Pure functions.

Axes: ``b`` images, ``n`` codes of an image in a row, ``k`` categories or codes of a codebook, ``q`` codebooks,
``c h w`` image, ``H W`` picture.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from ..callbacks.grids import View, grid
from ..callbacks.pictures import reconstruction_grid, table_grid
from ..models.quantizers import CodebookUsage
from .images import check_pixels, image_shape

MAX_CODES = 1024  # codes of an image that are changed by hand
MAX_TILES = 256  # codes in a picture of a row or of a codebook
MAX_TABLE = 2000  # images in a picture of a latent table
PART = 64  # images decoded at a time
TILE = 40  # pixels, at least, to which a tile is enlarged
COLUMNS = 5  # of the images of one code
TILES_ACROSS = 10


def code_count(model: Any) -> int | None:
    """Return the number of categories k of each code of an image; None for a model without such codes."""
    if not (hasattr(model, "encode") and hasattr(model, "decode") and image_shape(model)):
        return None
    usage = getattr(model, "codebook_usage", None)
    return getattr(model, "categories", None) if usage is None else usage.counts.shape[-1]


def changed(codes: Tensor, index: int, code: int, k: int) -> Tensor:
    """Return codes ``1 ...`` with one of them changed, counted along all axes.

    Raises:
        ValueError: no such place, or a code outside [0, k).
    """
    if not 0 <= index < codes.numel():
        raise ValueError(f"there is no code number {index}; they go from 0 to {codes.numel() - 1}")
    if not 0 <= code < k:
        raise ValueError(f"a code must lie in [0, {k}), got {code}")
    flat = codes.flatten().clone()
    flat[index] = code
    return flat.reshape(codes.shape)


@torch.no_grad()
def row_images(model: Any, codes: Tensor, index: int) -> Tensor:
    """Return the images of codes ``1 ...`` with one of them set to each category, ``k c h w``.

    Of more than ``MAX_TILES`` categories these are the first ones.

    Raises:
        ValueError: no such place, or images too large for a picture.
    """
    k = code_count(model)
    assert k is not None
    changed(codes, index, 0, k)
    shown = min(k, MAX_TILES)
    check_pixels(shown, model.image_shape)
    rows = codes.flatten().repeat(shown, 1)  # k n
    rows[:, index] = torch.arange(shown)
    return torch.cat([model.decode(part) for part in rows.reshape(shown, *codes.shape[1:]).split(PART)])


def row_picture(model: Any, codes: Tensor, index: int) -> Tensor:
    """Draw ``row_images``, the code's own one framed, ``3 H W``; errors are theirs."""
    images = row_images(model, codes, index)
    names = [str(code) for code in range(len(images))]
    return grid(images, min(len(images), COLUMNS), captions=names, marks={int(codes.flatten()[index])})


@torch.no_grad()
def table_picture(model: Any, codes: Tensor, image: Tensor) -> Tensor:
    """Draw the latent table of codes ``1 n`` beside an image ``1 c h w``, ``3 H W``.

    Raises:
        ValueError: a table too large for a picture.
    """
    if (size := codes.numel() * model.categories) > MAX_TABLE:
        raise ValueError(f"the table would have {size:,} images, more than {MAX_TABLE:,}; look at one row at a time")
    check_pixels(size, model.image_shape)
    return table_grid(model.latent_table(codes[0]), codes[0], image[0], model.decode(codes)[0])


def image_and_code(image: Tensor, decoded: Tensor) -> Tensor:
    """Draw images ``b c h w`` above what their codes give, ``3 H W``."""
    return reconstruction_grid(image, decoded, name="decoded")


@torch.no_grad()
def code_use(model: Any, images: Tensor) -> Tensor:
    """Return how often each code occurs in images ``b c h w``, ``q k``."""
    usage = CodebookUsage(*model.codebook_usage.counts.shape)
    usage.update(model.encode(images))
    return usage.counts


@torch.no_grad()
def tile_images(model: Any, codebook: int, counts: Tensor) -> tuple[Tensor, list[int]]:
    """Return the tile of each code of a codebook, ``k c h w``: the middle of an image in which it is at every place.

    Codes of other codebooks are their most frequent ones.

    Args:
        model: a VQ-VAE or a prior over its codes.
        codebook: number of the codebook.
        counts: of the codes in some images, ``q k``, all 0 if nothing was counted.

    Returns:
        The tiles, and their codes, the most frequent first; of more than ``MAX_TILES`` these are all.

    Raises:
        ValueError: no such codebook.
    """
    if not 0 <= codebook < len(counts):
        raise ValueError(f"there is no codebook {codebook}; they go from 0 to {len(counts) - 1}")
    shown = counts[codebook].argsort(descending=True, stable=True)[:MAX_TILES]
    c, h, w = model.image_shape
    rows, columns, _ = model.encode(torch.zeros(1, c, h, w)).shape[1:]
    codes = counts.argmax(-1).repeat(len(shown), rows, columns, 1)  # b h w q
    codes[..., codebook] = shown[:, None, None]
    high, wide = h // rows, w // columns
    top, left = rows // 2 * high, columns // 2 * wide
    tiles = [model.decode(part)[..., top : top + high, left : left + wide] for part in codes.split(PART)]
    return torch.cat(tiles), shown.tolist()


def tiles_picture(model: Any, codebook: int, counts: Tensor | None = None) -> Tensor:
    """Draw ``tile_images``, with the share of each code above its tile if codes were counted, ``3 H W``."""
    counts = torch.zeros_like(model.codebook_usage.counts) if counts is None else counts
    tiles, codes = tile_images(model, codebook, counts)
    share = counts[codebook] / counts[codebook].sum().clamp(min=1)
    captions = [f"{code}: {share[code]:.0%}" if counts.any() else str(code) for code in codes]
    scale = max(1, math.ceil(TILE / max(tiles.shape[-2:])))
    return grid(tiles, TILES_ACROSS, View(scale), captions=captions)
