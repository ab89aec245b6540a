"""A layer of a gated PixelCNN: over a whole grid, and one position at a time.

van den Oord et al. 2016 (arXiv:1606.05328): the gate (eq. 2), conditioning on a label (eq. 4), and the two stacks
without a blind spot (section 2.2). Both stacks take shifted codes, so that each convolution may include its own
position and none needs a mask.

Axes: ``b`` batch, ``h w`` grid, ``d`` width.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn


class GatedLayer(nn.Module):
    """One layer of both stacks. The label is a bias of each gate.

    Args:
        width: number of channels d.
        kernel: side of the full kernel, odd. The layer reaches half of it up and to the left.
        classes: number of labels.
        dropout: dropout probability of the gated features, before they are added to the horizontal stack.
    """

    def __init__(self, width: int, kernel: int, classes: int, dropout: float) -> None:
        super().__init__()
        self.reach = kernel // 2
        self.rows = nn.Conv2d(width, 2 * width, (self.reach + 1, kernel), bias=False)
        self.columns = nn.Conv2d(width, 2 * width, (1, self.reach + 1), bias=False)
        self.rows_label, self.columns_label = (nn.Embedding(classes, 2 * width) for _ in range(2))
        self.rows_to_columns = nn.Conv2d(2 * width, 2 * width, kernel_size=1, bias=False)
        self.residual = nn.Conv2d(width, width, kernel_size=1)
        self.dropout = nn.Dropout(dropout)
        for table in (self.rows_label, self.columns_label):
            nn.init.zeros_(table.weight)

    def vertical(self, v: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the vertical stack at this layer, and its input to the horizontal stack.

        Args:
            v: the layer below, ``b d h w``.
            label: ``b``.

        Returns:
            ``b d h w`` and ``b 2d h w``.
        """
        v = self.rows(F.pad(v, (self.reach, self.reach, self.reach, 0)))
        v = v + rearrange(self.rows_label(label), "b d -> b d 1 1")
        return gate(v), self.rows_to_columns(v)

    def horizontal(self, h: Tensor, from_above: Tensor, label: Tensor) -> Tensor:
        """Compute the horizontal stack at this layer, ``b d h w``; rows do not mix.

        Args:
            h: the layer below, ``b d h w``.
            from_above: input from the vertical stack, ``b 2d h w``.
            label: ``b``.
        """
        x = self.columns(F.pad(h, (self.reach, 0))) + from_above
        x = x + rearrange(self.columns_label(label), "b d -> b d 1 1")
        return h + self.residual(self.dropout(gate(x)))


class GatedLayerSteps:
    """The same layer in raster order without dropout: rows of the vertical stack, columns of the horizontal one.

    Each position is one product of its neighbourhood and the weights. The neighbourhoods are kept with the channels
    last, and those of the horizontal stack are views: nothing is copied or rearranged per position.

    Args:
        layer: the layer.
        label: ``b``.
        columns: w.
    """

    def __init__(self, layer: GatedLayer, label: Tensor, columns: int) -> None:
        reach, weight = layer.reach, layer.rows.weight
        b, d = len(label), weight.shape[1]
        self.reach, self.w = reach, columns
        self.rows = rearrange(weight, "o d i j -> (i j d) o").contiguous()
        self.columns = rearrange(layer.columns.weight, "o d 1 j -> (j d) o").contiguous()
        self.rows_to_columns = layer.rows_to_columns.weight.flatten(1)
        self.residual, self.bias = layer.residual.weight.flatten(1), layer.residual.bias
        self.rows_label, self.columns_label = layer.rows_label(label), layer.columns_label(label)  # b 2d
        # Zeros at the border are the padding of the convolutions.
        self.above = weight.new_zeros(b, reach + 1, columns + 2 * reach, d)
        self.above_windows = rearrange(self.above.unfold(2, 2 * reach + 1, 1), "b i w d j -> w b i j d")
        left = weight.new_zeros(b, reach + columns, d)
        self.left = left[:, reach:].unbind(1)
        self.left_windows = [left[:, column : column + reach + 1].flatten(1) for column in range(columns)]
        self.from_above: tuple[Tensor, ...] = ()  # w tensors b 2d

    def next_row(self, v: Tensor) -> Tensor:
        """Compute the vertical stack at the next row, ``b w d``, from that row of the layer below, ``b w d``."""
        self.above[:, :-1] = self.above[:, 1:].clone()
        self.above[:, -1, self.reach : -self.reach] = v
        x = (self.above_windows.flatten(0, 1).flatten(1) @ self.rows).unflatten(0, (self.w, -1)) + self.rows_label
        self.from_above = (F.linear(x, self.rows_to_columns) + self.columns_label).unbind()
        return gate(x.flatten(0, 1)).unflatten(0, (self.w, -1)).transpose(0, 1)

    def next_column(self, h: Tensor, column: int) -> Tensor:
        """Compute the horizontal stack at one column of the latest row, ``b d``, from the layer below, ``b d``."""
        self.left[column].copy_(h)
        x = torch.addmm(self.from_above[column], self.left_windows[column], self.columns)
        return F.linear(gate(x), self.residual, self.bias).add_(h)


def gate(x: Tensor) -> Tensor:
    """Compute tanh(first half of the channels) * sigmoid(second half), ``b 2d ... -> b d ...`` (eq. 2)."""
    first, second = x.chunk(2, 1)
    return first.tanh() * second.sigmoid()
