"""A gated PixelCNN over a grid of codes.

van den Oord et al. 2016 (arXiv:1606.05328), with the layers of ``gated_layer``.

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
from .gated_layer import GatedLayer, GatedLayerSteps


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
        check_sizes(width=width, depth=depth, kernel=kernel)
        check_dropout(dropout=dropout)
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
            v, from_above = layer.vertical(v, label)
            h = layer.horizontal(h, from_above, label)
        return rearrange(self.head(h), "b k h (w q) -> b h w q k", q=self.shape[-1])

    @torch.no_grad()
    def sample(self, label: Tensor, draw: Draw, generator: torch.Generator | None = None) -> Tensor:
        """Sample a grid for each label, ``b -> b h w q``, without dropout.

        Each row of the vertical stack and each column of the horizontal stack is evaluated once.
        """
        _, columns, q = self.shape
        steps = [GatedLayerSteps(layer, label, columns * q) for layer in self._layers()]
        offsets = columns * self.tokens(label.new_zeros(q)).tolist()  # of each column's codebook
        embedded = self.position.new_zeros(len(label), columns * q, len(self.position))  # codes of the row above
        codes = []
        for positions in rearrange(self.position, "d h w -> h w d").contiguous():
            v = embedded
            for step in steps:
                v = step.next_row(v)
            x = torch.zeros_like(embedded[:, 0])
            for column, (position, offset) in enumerate(zip(positions, offsets, strict=True)):
                h = x + position
                for step in steps:
                    h = step.next_column(h, column)
                codes.append(draw(self._head(h)))
                x = embedded[:, column] = self.embedding(codes[-1] + offset)
        return torch.stack(codes, 1).unflatten(1, self.shape)

    def _head(self, h: Tensor) -> Tensor:
        """``head`` at one position, ``b d -> b k``."""
        first, last = (layer for layer in self.head if isinstance(layer, nn.Conv2d))
        h = F.linear(h.relu(), first.weight.flatten(1), first.bias)
        return F.linear(h.relu(), last.weight.flatten(1), last.bias)

    def _layers(self) -> list[GatedLayer]:
        return [layer for layer in self.layers if isinstance(layer, GatedLayer)]
