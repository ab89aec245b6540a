"""Picture of where a model looks in pictures: each cell tinted by its probability, for every word of a caption.

Axes: ``b`` pictures, ``t`` words, ``s`` places, the cells row by row and their end, ``y x`` the grid, ``h w`` a cell.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from einops import rearrange, repeat
from torch import Tensor

from .grids import MARK, View, grid

TINT = (0.337, 0.706, 0.914)  # sky blue
LINE = 0.9  # grey of the lines between cells
SIDE = 110  # pixels of a picture in it, at least
TITLE = "Where the model looks to write each word: the bluer a cell, the more probable; no blue: it looks at the end"


@torch.no_grad()
def scene_picture(model: Any, batch: Mapping[str, Tensor]) -> Tensor:
    """Draw each picture once for every word of its caption, the known places framed, ``3 H W``.

    Args:
        model: one with ``attend``, and ``sides`` whose source is ``Cells``.
        batch: ``source``, ``target`` and their lengths; ``alignment`` where it is known.
    """
    cells, words = model.sides.source, model.sides.target
    probabilities = model.attend(dict(batch)).float().cpu()[..., :-1]  # b t s
    scale = -(-SIDE // (cells.rows * cells.height))
    ink = batch["source"][:, :-1].cpu() / 255
    paper = 1 - repeat(ink, "b s h w -> b s (h i) (w j)", i=scale, j=scale)
    paper[..., 0, :] = paper[..., :, 0] = LINE
    drawn, captions, columns = [], [], int(batch["target_length"].max())
    for row, length in enumerate(batch["target_length"].tolist()):
        tokens = batch["target"][row, :length].tolist()
        captions += [*("end" if token == words.eos else words.tokens[token] for token in tokens)]
        captions += [""] * (columns - length)
        places = batch["alignment"][row].tolist() if "alignment" in batch else [-1] * length
        for step in range(columns):
            looked = _tinted(paper[row], probabilities[row, min(step, length - 1)])  # s c h w
            if step < length and places[step] >= 0:
                _frame(looked[places[step]], scale)
            whole = rearrange(looked, "(y x) c h w -> c (y h) (x w)", y=cells.rows)
            drawn.append(whole if step < length else torch.full_like(whole, torch.nan))
    framed = "; framed: the true cell" if "alignment" in batch else ""
    return grid(torch.stack(drawn), columns, View(1), title=TITLE + framed, captions=captions)


def _tinted(paper: Tensor, probability: Tensor) -> Tensor:
    """Levels of cells ``s h w`` in colour, ``s c h w``; the paper takes the tint in proportion to ``s`` numbers."""
    tint = torch.tensor(TINT)[:, None, None]
    return paper[:, None] * (1 - probability[:, None, None, None] * (1 - tint))


def _frame(cell: Tensor, width: int) -> None:
    """Draw a frame of some pixels into a cell ``c h w``, in place."""
    mark = torch.tensor(MARK)[:, None, None].expand_as(cell).clone()
    mark[:, width:-width, width:-width] = cell[:, width:-width, width:-width]
    cell.copy_(mark)
