"""The gated PixelCNN over a grid of codes.

van den Oord et al. 2016 (arXiv:1606.05328): the gate (eq. 2), its condition on a label (eq. 4), and the two stacks
without a blind spot (section 2.2). Both see shifted codes, so that every convolution may include its own position and
none needs a mask. Axes: ``b`` batch, ``h w`` grid, ``q`` codes per position, which become columns, ``k`` codes of a
codebook, ``d`` width.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from .code_networks import CODE_NETWORKS, AutoregressiveNetwork, Draw


def gate(x: Tensor) -> Tensor:
    """tanh(first half of the channels) times sigmoid(second half), ``b 2d h w -> b d h w`` (eq. 2)."""
    first, second = x.chunk(2, 1)
    return first.tanh() * second.sigmoid()


class GatedLayer(nn.Module):
    """One layer of both stacks. The label is a bias of each gate.

    Args:
        width: d.
        kernel: side of the full kernel, odd; the layer sees half of it upwards and to the left.
        classes: number of labels.
        dropout: of the gates' outputs on their way to the residual sum.
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
        """The vertical stack at this layer ``b d h w``, and what it tells the horizontal one, ``b 2d h w``."""
        v = self.rows(F.pad(v, (self.reach, self.reach, self.reach, 0)))
        v = v + rearrange(self.rows_label(label), "b d -> b d 1 1")
        return gate(v), self.rows_to_columns(v)

    def horizontal(self, h: Tensor, told: Tensor, label: Tensor) -> Tensor:
        """The horizontal stack at this layer, ``b d h w``; rows do not mix."""
        x = self.columns(F.pad(h, (self.reach, 0))) + told
        x = x + rearrange(self.columns_label(label), "b d -> b d 1 1")
        return h + self.residual(self.dropout(gate(x)))


@CODE_NETWORKS.register("pixelcnn")
class PixelCNN(AutoregressiveNetwork):
    """A gated PixelCNN.

    Args:
        shape: ``h w q``.
        codebook_size: k.
        classes: number of labels.
        width: d.
        depth: number of gated layers.
        kernel: side of their full kernel, odd and at least 3.
        dropout: in training.
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
        """See the base class."""
        told = self._vertical(codes, label)
        return self._horizontal(codes, told, label, slice(None))

    def sample(self, label: Tensor, draw: Draw, generator: torch.Generator | None = None) -> Tensor:
        """See the base class. The vertical stack is evaluated once for each row, the horizontal one on that row."""
        codes = label.new_zeros(len(label), *self.shape)
        for row in range(self.shape[0]):
            here = slice(row, row + 1)
            told = [t[:, :, here] for t in self._vertical(codes[:, : row + 1], label)]
            line = codes[:, here].view(len(label), -1)
            for column in range(line.shape[1]):
                line[:, column] = draw(self._horizontal(codes[:, here], told, label, here).flatten(1, 3)[:, column])
        return codes

    def _layers(self) -> list[GatedLayer]:
        return [layer for layer in self.layers if isinstance(layer, GatedLayer)]

    def _embed(self, codes: Tensor) -> Tensor:
        """``b h w q -> b d h (w q)``."""
        return rearrange(self.embedding(self.tokens(codes)), "b h w q d -> b d h (w q)")

    def _vertical(self, codes: Tensor, label: Tensor) -> list[Tensor]:
        """What each layer's vertical stack tells of the rows above each position."""
        told = []
        v = F.pad(self._embed(codes), (0, 0, 1, -1))
        for layer in self._layers():
            v, message = layer.vertical(v, label)
            told.append(message)
        return told

    def _horizontal(self, codes: Tensor, told: list[Tensor], label: Tensor, rows: slice) -> Tensor:
        """Logits ``b h w q k`` of the codes of some rows."""
        h = F.pad(self._embed(codes), (1, -1)) + self.position[:, rows]
        for layer, message in zip(self._layers(), told, strict=True):
            h = layer.horizontal(h, message, label)
        return rearrange(self.head(h), "b k h (w q) -> b h w q k", q=self.shape[-1])
