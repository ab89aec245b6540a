"""Scenes: a digit somewhere on a canvas, and pieces of other digits as clutter, all added and clipped.

The recipe is that of Mnih, Heess, Graves & Kavukcuoglu 2014 (arXiv:1406.6247), section 4.1: 60 x 60 with four pieces of
8 x 8. Axes: ``b`` scenes, ``h w`` a digit, ``H W`` the canvas, ``p`` pieces of a scene, ``s`` side of a piece.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..keyed_random import Key, uniform

NUMBERS = 5  # drawn for each piece: which digit, row and column in it, row and column on the canvas


def compose(
    digits: Tensor, others: Tensor, key: Key, side: int = 60, pieces: int = 4, piece: int = 8
) -> tuple[Tensor, Tensor]:
    """Draw one scene of each digit, a pure function of the arguments.

    Args:
        digits: uint8 levels ``b 1 h w``.
        others: uint8 levels ``n 1 h w`` that the clutter is cut from.
        key: of the draws.
        side: of the canvas.
        pieces: of clutter in a scene.
        piece: side of each piece.

    Returns:
        uint8 levels ``b 1 H W``, and the upper left corner of each digit, int64 ``b 2`` (row, column).
    """
    b, h, w = len(digits), *digits.shape[-2:]
    drawn = uniform((b, 2 + NUMBERS * pieces), key)
    corner = below(drawn[:, :2], torch.tensor([side - h + 1, side - w + 1]))  # b 2
    limits = [len(others), h - piece + 1, w - piece + 1, side - piece + 1, side - piece + 1]
    which, top, left, row, column = below(drawn[:, 2:].view(b, pieces, NUMBERS), torch.tensor(limits)).unbind(-1)
    rows, columns = (first[..., None] + torch.arange(piece) for first in (top, left))  # b p s
    cut = others[:, 0][which[..., None, None], rows[..., None], columns[..., None, :]]  # b p s s

    canvas = torch.zeros(b, side, side, dtype=torch.int16)
    paste(canvas, digits[:, 0], corner)
    for number in range(pieces):  # pieces may overlap each other and the digit
        paste(canvas, cut[:, number], torch.stack([row[:, number], column[:, number]], -1))
    return canvas.clamp_(max=255).to(torch.uint8)[:, None], corner


def place(digits: Tensor, corner: Tensor, side: int) -> Tensor:
    """Put digits, uint8 ``b 1 h w``, on empty canvases at their corners ``b 2``, ``-> b 1 H W``."""
    canvas = torch.zeros(len(digits), side, side, dtype=torch.int16)
    paste(canvas, digits[:, 0], corner)
    return canvas.to(torch.uint8)[:, None]


def paste(canvas: Tensor, patches: Tensor, corner: Tensor) -> None:
    """Add levels ``b h w`` to canvases, int16 ``b H W``, at corners ``b 2``, in place."""
    h, w = patches.shape[-2:]
    rows, columns = corner[:, :1] + torch.arange(h), corner[:, 1:] + torch.arange(w)
    index = rows[:, :, None] * canvas.shape[-1] + columns[:, None]  # b h w
    canvas.flatten(1).scatter_add_(1, index.flatten(1), patches.flatten(1).to(canvas.dtype))


def below(u: Tensor, limits: Tensor) -> Tensor:
    """Return whole numbers in [0, limit) for numbers in (0, 1)."""
    return (u * limits).long()
