"""Encoder of pictures that mixes no places: each cell of a grid is seen alone.

So which cell a word was read from is certain, as it is not in a network whose fields overlap (Xu et al. 2015,
arXiv:1502.03044). Axes: ``b`` batch, ``s`` places, the cells row by row and their end, ``h w`` a cell, ``d`` width.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from ...interfaces import Cells
from ...ranges import check_sizes
from ...vocabulary import Vocabulary
from .encoders import ENCODERS, Encoder


@ENCODERS.register("cells")
class CellEncoder(Encoder):
    """Embedding of a place, plus two convolutions over its cell alone; a blank cell adds nothing.

    Args:
        source: form of the pictures.
        places: s.
        width: d.
        channels: of the first convolution; the second has twice as many.

    Raises:
        ValueError: a size below 1.
    """

    smallest: ClassVar[Vocabulary | Cells] = Cells(1, 1, 1, 1)

    def __init__(self, source: Cells, places: int, width: int, channels: int = 16) -> None:
        nn.Module.__init__(self)
        check_sizes(channels=channels)
        self.places = nn.Embedding(places, width)
        # Without biases a blank cell is 0, and differs from all others from the first step on.
        self.network = nn.Sequential(
            nn.Conv2d(1, channels, 3, stride=2, padding=1, bias=False),
            nn.ReLU(),
            nn.Conv2d(channels, 2 * channels, 3, stride=2, padding=1, bias=False),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(2 * channels * -(-source.height // 4) * -(-source.width // 4), width, bias=False),
            nn.LayerNorm(width, bias=False),  # as large as the embedding of a place
        )

    def forward(self, source: Tensor, length: Tensor) -> Tensor:
        """Return values ``b s d`` of levels ``b s h w``."""
        inked = source.flatten(2).amax(2) > 0  # b s
        places = self.places.weight[: source.shape[1]]
        seen = places.new_zeros(*inked.shape, places.shape[1])
        # Most cells are blank, and cost nothing. In mixed precision the network has another dtype.
        seen[inked] = self.network(source[inked][:, None] / 255).to(seen.dtype)
        return seen + places
