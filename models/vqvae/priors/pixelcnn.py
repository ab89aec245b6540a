"""A gated PixelCNN over a grid of codes.

van den Oord et al. 2016 (arXiv:1606.05328): the gate (eq. 2), conditioning on a label (eq. 4), and the two stacks
without a blind spot (section 2.2). Both stacks take shifted codes, so that each convolution may include its own
position and none needs a mask.

Axes: ``b`` batch, ``h w`` grid, ``q`` codes per position, which become columns, ``k`` codes of a codebook, ``d`` width.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from ....ranges import check_dropout, check_sizes
from .base import CODE_NETWORKS, AutoregressiveNetwork, Draw


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
            v: the layer below, with ``reach`` more rows above, ``b d (reach + h) w``.
            label: ``b``.

        Returns:
            ``b d h w`` and ``b 2d h w``.
        """
        v = self.rows(F.pad(v, (self.reach, self.reach)))
        v = v + rearrange(self.rows_label(label), "b d -> b d 1 1")
        return gate(v), self.rows_to_columns(v)

    def horizontal(self, h: Tensor, from_above: Tensor, label: Tensor) -> Tensor:
        """Compute the horizontal stack at this layer, ``b d h w``; rows do not mix.

        Args:
            h: the layer below, with ``reach`` more columns to the left, ``b d h (reach + w)``.
            from_above: input from the vertical stack, ``b 2d h w``.
            label: ``b``.
        """
        x = self.columns(h) + from_above
        x = x + rearrange(self.columns_label(label), "b d -> b d 1 1")
        return h[..., self.reach :] + self.residual(self.dropout(gate(x)))


@CODE_NETWORKS.register("pixelcnn")
class PixelCNN(AutoregressiveNetwork):
    """A gated PixelCNN.

    Args:
        shape: ``h w q``.
        codebook_size: k.
        classes: number of labels.
        width: number of channels d.
        depth: number of gated layers.
        kernel: side of their full kernel, odd and at least 3.
        dropout: dropout probability in training.

    Raises:
        ValueError: a size below 1, a dropout outside [0, 1), a kernel that is even or less than 3.
    """

    def __init__(
        self,
        shape: Sequence[int],
        codebook_size: int,
        classes: int = 1,
        width: int = 64,
        depth: int = 6,
        kernel: int = 5,
        dropout: float = 0.1,
    ) -> None:
        super().__init__(shape, codebook_size, classes)
        check_sizes(width=width, depth=depth)
        check_dropout(dropout)
        if kernel % 2 == 0 or kernel < 3:
            raise ValueError(f"kernel must be odd and at least 3, got {kernel}")
        rows, columns, q = self.shape
        self.embedding = nn.Embedding(q * codebook_size, width)
        self.position = nn.Parameter(0.02 * torch.randn(width, rows, columns * q))
        self.layers = nn.ModuleList(GatedLayer(width, kernel, classes, dropout) for _ in range(depth))
        self.head = nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(width, 2 * width, 1),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Conv2d(2 * width, codebook_size, 1),
        )

    def logits(self, codes: Tensor, label: Tensor) -> Tensor:
        """Compute the logits of every code given earlier ones, ``b h w q -> b h w q k``."""
        x = self.embedding(self.tokens(codes))
        v = h = rearrange(x, "b h w q d -> b d h (w q)")
        # The vertical stack starts with the codes one row up, the horizontal one with those one column to the left.
        v, h = F.pad(v, (0, 0, 1, -1)), F.pad(h, (1, -1)) + self.position
        for layer in self._layers():
            v, from_above = layer.vertical(F.pad(v, (0, 0, layer.reach, 0)), label)
            h = layer.horizontal(F.pad(h, (layer.reach, 0)), from_above, label)
        return rearrange(self.head(h), "b k h (w q) -> b h w q k", q=self.shape[-1])

    def sample(self, label: Tensor, draw: Draw, generator: torch.Generator | None = None) -> Tensor:
        """Sample a grid for each label, ``b -> b h w q``.

        Each row of the vertical stack and each column of the horizontal stack is evaluated once.
        """
        rows, columns, q = self.shape
        offsets = self.tokens(label.new_zeros(1, *self.shape)).flatten(2)  # 1 h (w q)
        line = self.embedding.weight.new_zeros(len(label), self.embedding.embedding_dim, 1, columns * q)
        above = [F.pad(line, (0, 0, layer.reach - 1, 0)) for layer in self._layers()]  # cached rows of each layer
        codes = []
        for row in range(rows):
            # Vertical stack: one new row, from the embedded codes of the row above and each layer's cached rows.
            from_above, v = [], line
            for i, layer in enumerate(self._layers()):
                above[i] = torch.cat([above[i][:, :, -layer.reach :], v], 2)
                v, passed = layer.vertical(above[i], label)
                from_above.append(passed)
            # Horizontal stack: one new column at a time, from the latest code and each layer's cached columns.
            x = torch.zeros_like(line[..., :1])
            left = [F.pad(x, (layer.reach - 1, 0)) for layer in self._layers()]  # cached columns of each layer
            embedded = []
            for column in range(columns * q):
                h = x + self.position[:, row, None, column, None]
                for i, layer in enumerate(self._layers()):
                    left[i] = torch.cat([left[i][..., -layer.reach :], h], 3)
                    h = layer.horizontal(left[i], from_above[i][..., column, None], label)
                codes.append(draw(rearrange(self.head(h), "b k 1 1 -> b k")))
                x = rearrange(self.embedding(codes[-1] + offsets[0, row, column]), "b d -> b d 1 1")
                embedded.append(x)
            line = torch.cat(embedded, 3)
        return torch.stack(codes, 1).unflatten(1, self.shape)

    def _layers(self) -> list[GatedLayer]:
        return [layer for layer in self.layers if isinstance(layer, GatedLayer)]


def gate(x: Tensor) -> Tensor:
    """Compute tanh(first half of the channels) * sigmoid(second half), ``b 2d h w -> b d h w`` (eq. 2)."""
    first, second = x.chunk(2, 1)
    return first.tanh() * second.sigmoid()
