"""Layers that double a map, and the memory format of maps: equal in result to torch's, faster on a CPU.

Axes: ``b`` batch, ``i`` and ``o`` channels, ``h w`` map.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


def channels_last(x: Tensor) -> Tensor:
    """Return maps ``b c h w`` with the channels of a position side by side in memory; convolutions keep this format.

    One channel is side by side anyway, and torch's own conversion leaves its strides: the next layer would not know.
    """
    _, c, h, w = x.shape
    return x.permute(0, 2, 3, 1).flatten(1).unflatten(1, (h, w, c)).permute(0, 3, 1, 2)


class TransposedConv2d(nn.ConvTranspose2d):
    """A transposed convolution that doubles a map, ``b i h w -> b o 2h 2w``.

    Args:
        before: i.
        after: o.
        kernel: side of the kernel, 3 or 4.
        bias: add a bias.
    """

    def __init__(self, before: int, after: int, kernel: int, bias: bool = True) -> None:
        # Without output padding an odd kernel leaves out the last row and column.
        super().__init__(before, after, kernel, stride=2, padding=1, output_padding=kernel % 2, bias=bias)

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Compute the map of twice the size."""
        return _double(x, self.weight, self.bias)


class UpsampledConv2d(nn.Conv2d):
    """A 3x3 convolution of a map whose positions are repeated in both directions, ``b i h w -> b o 2h 2w``.

    Args:
        before: i.
        after: o.
    """

    def __init__(self, before: int, after: int) -> None:
        super().__init__(before, after, kernel_size=3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the map of twice the size."""
        # Repeated positions share products: added first, the weights are those of a 4x4 transposed convolution, and
        # an output costs 4 products for each channel in place of 9.
        rows = self.weight.transpose(0, 1).flip(-2, -1)  # i o 3 3
        columns = F.pad(rows, (0, 0, 0, 1)) + F.pad(rows, (0, 0, 1, 0))  # i o 4 3
        return _double(x, F.pad(columns, (0, 1)) + F.pad(columns, (1, 0)), self.bias)


def _double(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    doubled = F.conv_transpose2d(x, weight, stride=2, padding=1, output_padding=weight.shape[-1] % 2)
    # Inside the convolution, oneDNN would sum the gradient of the bias slowly: in more time than all other gradients.
    return doubled if bias is None else doubled.add_(bias[:, None, None])
