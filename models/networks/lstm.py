"""A stack of LSTM layers, for whole sequences and for one step at a time.

Hochreiter & Schmidhuber 1997; Zaremba et al. 2014 (arXiv:1409.2329). Dropout uses one mask for all steps of a sequence
(Gal & Ghahramani 2016, arXiv:1512.05287), on the input of each layer and on the output of the last one. Axes: ``b``
batch, ``t`` time, ``d`` input width, ``h`` hidden width.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...ranges import check_dropout, check_sizes

WEIGHTS = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
Mask = Tensor | None
LSTMState = tuple[list[tuple[Tensor, Tensor]], list[Mask]]  # (hidden, cell) of each layer ``b h``, and the masks


class LSTMStack(nn.ModuleList):
    """LSTM layers, one on top of the other; ``step`` gives the same result as ``forward``, one position at a time.

    Args:
        width: d.
        hidden: h, the same in every layer.
        layers: number of layers.
        dropout: dropout probability in training mode.

    Raises:
        ValueError: a size below 1, or a dropout outside [0, 1).

    Example:
        >>> stack = LSTMStack(width=8, hidden=16, layers=2)
        >>> x = torch.randn(4, 10, 8)  # b t d
        >>> features = stack(x)  # b t h
        >>> state = stack.initial_state(4)
        >>> first, state = stack.step(x[:, 0], state)  # b h, equal to features[:, 0]
    """

    def __init__(self, width: int, hidden: int, layers: int = 1, dropout: float = 0.0) -> None:
        check_sizes(width=width, hidden=hidden, layers=layers)
        check_dropout(dropout=dropout)
        widths = [width] + [hidden] * layers
        super().__init__(nn.LSTM(before, after, batch_first=True) for before, after in pairwise(widths))
        self.widths, self.dropout = widths, dropout

    def forward(self, x: Tensor) -> Tensor:
        """Return the features of every position, ``b t d -> b t h``."""
        *input_masks, output_mask = self._masks(len(x))
        for layer, mask in zip(self, input_masks, strict=True):
            x, _ = layer(_masked(x, mask))
        return _masked(x, output_mask)

    def initial_state(self, b: int) -> LSTMState:
        """Return zeros, and dropout masks for all steps to come."""
        zero = next(self.parameters()).new_zeros(b, self.widths[-1])
        return [(zero, zero) for _ in self], self._masks(b)

    def step(self, x: Tensor, state: LSTMState) -> tuple[Tensor, LSTMState]:
        """Return the features of the next position, ``b d -> b h``, and the state after it."""
        before, masks = state
        *input_masks, output_mask = masks
        after = []
        for layer, own, mask in zip(self, before, input_masks, strict=True):
            x, cell = torch.lstm_cell(_masked(x, mask), own, *(getattr(layer, name) for name in WEIGHTS))
            after.append((x, cell))
        return _masked(x, output_mask), (after, masks)

    def _masks(self, b: int) -> list[Mask]:
        """Masks ``b d`` of the layers' inputs and of the last output; None without dropout."""
        if not self.training or self.dropout == 0:
            return [None] * len(self.widths)
        ones = next(self.parameters()).new_ones
        return [F.dropout(ones(b, width), self.dropout) for width in self.widths]


def _masked(x: Tensor, mask: Mask) -> Tensor:
    """``b d`` or ``b t d`` times a mask ``b d``, if there is one."""
    if mask is None:
        return x
    return x * (mask if x.ndim == 2 else mask[:, None])
