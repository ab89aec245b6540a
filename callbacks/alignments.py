"""Picture of where a model with attention looks: the probability of each place at each step.

Axes: ``b`` pairs, ``s`` places of a source, ``t`` steps of a target, ``H W`` the picture.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from ..interfaces import Cells
from .grids import BACKGROUND, View, above, grid
from .scenes import scene_picture

PAIRS, COLUMNS = 6, 3
CELL = 26  # pixels of the side of a probability
TITLE = "Rows: tokens to write. Columns: places of the source. The darker, the more probable that the model looks there"


@torch.no_grad()
def alignment_picture(model: Any, batch: Mapping[str, Tensor]) -> Tensor:
    """Draw a table of probabilities for each of the first pairs, the known places framed, ``3 H W``.

    Sources that are pictures are drawn themselves, see ``scene_picture``.

    Args:
        model: one with ``attend`` and ``sides``.
        batch: ``source``, ``target`` and their lengths; ``alignment`` where it is known.
    """
    batch = {key: value[:PAIRS] for key, value in batch.items()}
    if isinstance(model.sides.source, Cells):
        return scene_picture(model, batch)
    probabilities = model.attend(batch).float().cpu()  # b t s
    tables = [
        _table(
            probabilities[row, : int(batch["target_length"][row]), : int(batch["source_length"][row])],
            [_label(model.sides.target, token) for token in batch["target"][row].tolist()],
            [_label(model.sides.source, token) for token in batch["source"][row].tolist()],
            batch["alignment"][row].tolist() if "alignment" in batch else (),
        )
        for row in range(len(probabilities))
    ]
    h, w = (max(table.shape[axis] for table in tables) for axis in (1, 2))
    tables += [torch.full((3, h, w), BACKGROUND)] * (-len(tables) % min(COLUMNS, len(tables)))
    filled = [F.pad(t, (0, w - t.shape[2], 0, h - t.shape[1]), value=BACKGROUND) for t in tables]
    panels = rearrange(filled, "(y x) c h w -> c (y h) (x w)", x=min(COLUMNS, len(filled)))
    framed = "; framed: the true place" if "alignment" in batch else ""
    return above(grid(torch.full((1, 1, 1, 1), torch.nan), 1, View(1), title=TITLE + framed), panels)


def _table(probabilities: Tensor, rows: Sequence[str], columns: Sequence[str], places: Sequence[int]) -> Tensor:
    """Table of probabilities ``t s``, ``3 H W``; ``places`` of the steps are framed."""
    t, s = probabilities.shape
    return grid(
        (1 - probabilities).reshape(-1, 1, 1, 1),
        s,
        View(CELL),
        heads=[(1, column) for column in columns[:s]],
        rows=rows[:t],
        marks={step * s + place for step, place in enumerate(places[:t]) if place >= 0},
    )


def _label(vocabulary: Any, token: int) -> str:
    """A token as it is written in a margin."""
    return "end" if token == vocabulary.eos else vocabulary.tokens[token]
