"""An LSTM language model (Hochreiter & Schmidhuber 1997; Zaremba et al. 2014, arXiv:1409.2329).

Dropout has one mask for all places of a sequence (Gal & Ghahramani 2016, arXiv:1512.05287), on what enters each layer
and on what leaves the last one.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .base import GENERATORS, Generator, State

WEIGHTS = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")


@GENERATORS.register("lstm")
class LSTMGenerator(Generator):
    """Layers of LSTM cells.

    Args:
        size: v.
        length: t.
        end: the token that ends a sentence, if there is one.
        width: of the embedded tokens.
        hidden: width of every layer.
        layers: how many.
        dropout: share of each mask that is 0, in training on real text.

    Raises:
        ValueError: no layers, or a dropout outside [0, 1).
    """

    def __init__(
        self,
        size: int,
        length: int,
        end: int | None = None,
        width: int = 32,
        hidden: int = 32,
        layers: int = 1,
        dropout: float = 0.0,
    ) -> None:
        if layers < 1 or not 0 <= dropout < 1:
            raise ValueError(f"layers must be >= 1 and dropout in [0, 1), got {layers} and {dropout}")
        super().__init__(size, length, end, width, hidden)
        self.hidden, self.dropout = hidden, dropout
        widths = [width] + [hidden] * layers
        self.cells = nn.ModuleList(nn.LSTM(before, after, batch_first=True) for before, after in pairwise(widths))

    def features(self, x: Tensor) -> Tensor:
        """See the base class."""
        *entering, leaving = self.masks(len(x))
        for cell, mask in zip(self.cells, entering, strict=True):
            x, _ = cell(masked(x, mask))
        return masked(x, leaving)

    def start(self, b: int) -> State:
        """Hidden and cell state of each layer, ``b h``, and the masks of all places."""
        zero = self.head.weight.new_zeros(b, self.hidden)
        return [(zero, zero) for _ in self.cells], self.masks(b)

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """See the base class."""
        before, (*entering, leaving) = state
        after = []
        for cell, own, mask in zip(self.cells, before, entering, strict=True):
            x, memory = torch.lstm_cell(masked(x, mask), own, *(getattr(cell, name) for name in WEIGHTS))
            after.append((x, memory))
        return masked(x, leaving), (after, [*entering, leaving])

    def masks(self, b: int) -> list[Tensor | None]:
        """Of what enters each layer and of what leaves the last one, ``b d`` and ``b h``; None without dropout."""
        widths = [self.embedding.embedding_dim] + [self.hidden] * len(self.cells)
        if not self.training or self.dropout == 0:
            return [None] * len(widths)
        return [F.dropout(self.head.weight.new_ones(b, width), self.dropout) for width in widths]


def masked(x: Tensor, mask: Tensor | None) -> Tensor:
    """``b d`` or ``b t d`` times a mask ``b d``, if there is one."""
    if mask is None:
        return x
    return x * (mask if x.ndim == 2 else mask[:, None])
