"""Windows of an image around the places of a grid, at several scales, as pure functions.

Glimpses: Mnih, Heess, Graves & Kavukcuoglu 2014 (arXiv:1406.6247), section 3.1. A window of scale j is 2^j times as
large, and averaged down to the same number of pixels. Outside the image is the level 0. Axes: ``b`` batch, ``c h w``
image, ``n`` places, ``j`` scales, ``s`` side of a window in pixels.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

MAX_NUMBERS = 2**28  # of the indices of all windows, of their masks, or of the pixels of one image: 2 GiB


def grid_centres(height: int, width: int, side: int, grid: int) -> Tensor:
    """Return the centres of ``grid`` x ``grid`` windows that cover an image evenly, float32 ``n 2`` (row, column)."""
    rows, columns = (_along(length, side, grid) for length in (height, width))
    return torch.cartesian_prod(rows, columns)


def _along(length: int, side: int, grid: int) -> Tensor:
    if grid == 1 or side >= length:
        return torch.full((grid,), length / 2)
    return torch.linspace(side / 2, length - side / 2, grid)


def window_index(height: int, width: int, centres: Tensor, side: int, scales: int) -> Tensor:
    """Return where the pixels of all windows are among those of ``pyramid``, int64 ``n (j s s)``.

    Args:
        height: of the image.
        width: of the image.
        centres: of the windows, ``n 2`` pixels.
        side: s.
        scales: number of scales j.
    """
    padding, first = margin(side, scales), 0
    index: list[Tensor] = []
    for scale in range(scales):
        factor = 2**scale
        down, across = (length + 2 * padding - factor + 1 for length in (height, width))
        corner = (centres - side * factor / 2).floor().long() + padding  # n 2
        steps = factor * torch.arange(side)
        rows, columns = corner[:, :1] + steps, corner[:, 1:] + steps  # n s
        index.append(first + (rows[:, :, None] * across + columns[:, None]).flatten(1))
        first += down * across
    return torch.cat(index, 1)


def check_windows(height: int, width: int, side: int, scales: int, grid: int) -> None:
    """Check that the windows of an image fit into memory together; ValueError otherwise.

    Args:
        height: of the image.
        width: of the image.
        side: s.
        scales: number of scales j.
        grid: places along each side of the image.
    """
    padded = (height + 2 * margin(side, scales)) * (width + 2 * margin(side, scales))
    if max(grid**2 * scales * side**2, grid**2 * height * width, scales * padded) > MAX_NUMBERS:
        raise ValueError(
            f"grid {grid}, window {side} and scales {scales} need more than 2^28 numbers for images of {height} x "
            f"{width}; make them smaller"
        )


def margin(side: int, scales: int) -> int:
    """Return how far the largest window may reach over the edge of the image, in pixels."""
    return -(-side * 2 ** (scales - 1) // 2)


def pyramid(x: Tensor, side: int, scales: int) -> Tensor:
    """Average images over squares of 2^j pixels at all places, ``b c h w -> b c p``: the pixels of all windows.

    Args:
        x: images.
        side: s.
        scales: number of scales j.
    """
    averaged = F.pad(x.flatten(0, 1), [margin(side, scales)] * 4)  # (b c) h w
    pixels = [averaged.flatten(1)]
    for scale in range(1, scales):  # means over squares of 2^j pixels, from those of the scale before
        half = 2 ** (scale - 1)
        averaged = (averaged[:, half:] + averaged[:, :-half]) / 2
        averaged = (averaged[..., half:] + averaged[..., :-half]) / 2
        pixels.append(averaged.flatten(1))
    return torch.cat(pixels, 1).unflatten(0, x.shape[:2])


def windows(pixels: Tensor, index: Tensor, scales: int) -> Tensor:
    """Cut all windows, ``b c p -> b n (j c s s)``.

    Args:
        pixels: of ``pyramid``.
        index: of ``window_index``.
        scales: number of scales j.
    """
    # On a CPU this is three times as fast as to index the rows.
    found = pixels.gather(2, index.flatten().expand(*pixels.shape[:2], -1))  # b c (n j s s)
    return rearrange(found, "b c (n j q) -> b n (j c q)", n=len(index), j=scales)


def windows_at(pixels: Tensor, index: Tensor, scales: int, codes: Tensor) -> Tensor:
    """Cut the windows at some places, ``b c p`` and codes ``... b -> ... b (j c s s)``, and no others."""
    rows = index[codes].unsqueeze(-2).expand(*codes.shape, pixels.shape[1], -1)  # ... b c (j s s)
    found = pixels.expand(*codes.shape[:-1], *pixels.shape).gather(-1, rows)
    return rearrange(found, "... c (j q) -> ... (j c q)", j=scales)


def window_masks(height: int, width: int, centres: Tensor, side: int) -> Tensor:
    """Return which pixels are in the window of scale 0 of each place, boolean ``n h w``."""
    corner = (centres - side / 2).floor()
    rows, columns = torch.arange(height), torch.arange(width)
    inside_rows, inside_columns = (
        (axis >= first[:, None]) & (axis < first[:, None] + side)
        for axis, first in ((rows, corner[:, 0]), (columns, corner[:, 1]))
    )
    return inside_rows[:, :, None] & inside_columns[:, None]


def frames(masks: Tensor) -> Tensor:
    """Return the pixels at the border of each mask, boolean ``... h w``."""
    padded = F.pad(masks.float(), [1] * 4)
    inner = -F.max_pool2d(-padded.flatten(0, -3)[:, None], 3, stride=1)[:, 0] > 0
    return masks & ~inner.view(masks.shape)
