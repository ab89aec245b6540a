"""Convolutional networks between images and a grid of vectors, by name.

Strided convolutions halve the image once per width, residual blocks work on the grid, and transposed convolutions
double it again: van den Oord, Vinyals & Kavukcuoglu 2017 (arXiv:1711.00937), section 4.1. Options also cover two
smaller published forms: without residual blocks, and with a last convolution at full resolution.

Axes: ``b`` batch, ``c h w`` image, ``d h' w'`` grid of vectors, ``o`` outputs per pixel position.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from ...ranges import check_sizes
from .grid import GRID_DECODERS, GRID_ENCODERS
from .upsampling import TransposedConv2d, channels_last


class ResidualBlock(nn.Module):
    """x + conv1x1(relu(conv3x3(relu(x)))), optionally with batch norm after each convolution.

    Args:
        width: channels c of x.
        inner: channels between the two convolutions.
        batch_norm: add batch norm.
    """

    def __init__(self, width: int, inner: int, batch_norm: bool) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(width, inner, kernel_size=3, padding=1, bias=not batch_norm),
            *_norm(inner, batch_norm),
            nn.ReLU(),
            nn.Conv2d(inner, width, kernel_size=1, bias=not batch_norm),
            *_norm(width, batch_norm),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Add the branch, ``b c h w -> b c h w``."""
        return x + self.branch(x)


@GRID_ENCODERS.register("conv")
class ConvEncoder(nn.Sequential):
    """Strided convolutions, residual blocks and a 1x1 convolution, ``b c h w -> b d h/f w/f`` with f = 2^len(widths).

    Args:
        image_shape: ``c h w``.
        dim: d.
        widths: channels after each convolution of stride 2.
        kernel: side of these convolutions, 3 or 4.
        residual_blocks: number of residual blocks on the grid, after a 3x3 convolution; 0 leaves out both.
        residual_width: channels inside a residual block.
        batch_norm: batch norm after every convolution but the last. In training, the vectors of an image then depend on
            the other images of its batch.

    Raises:
        ValueError: no width, a size below its least, an image whose sides are not divisible by f, a kernel other than
            3 and 4.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        dim: int,
        widths: Sequence[int] = (32, 64),
        kernel: int = 3,
        residual_blocks: int = 0,
        residual_width: int = 32,
        batch_norm: bool = False,
    ) -> None:
        check_sizes(widths=widths, residual_width=residual_width)
        check_sizes(0, residual_blocks=residual_blocks)
        channels, height, width = image_shape
        factor = 2 ** len(widths)
        if not widths or height % factor or width % factor:
            raise ValueError(
                f"widths={list(widths)} halve the image {len(widths)} times: give at least one width, and images whose "
                f"height and width are divisible by {factor}, not {height} x {width}"
            )
        if kernel not in (3, 4):
            raise ValueError(f"kernel must be 3 or 4, got {kernel}")
        layers: list[nn.Module] = []
        for before, after in pairwise([channels, *widths]):
            layers.append(nn.Conv2d(before, after, kernel, stride=2, padding=1, bias=not batch_norm))
            layers += [*_norm(after, batch_norm), nn.ReLU(inplace=True)]
        layers += _residual_stack(widths[-1], widths[-1], residual_blocks, residual_width, batch_norm)
        super().__init__(*layers, nn.Conv2d(widths[-1], dim, kernel_size=1))

    def forward(self, x: Tensor) -> Tensor:
        """Compute the grid of vectors, ``b c h w -> b d h' w'``."""
        return super().forward(channels_last(x))


@GRID_DECODERS.register("conv")
class ConvDecoder(nn.Sequential):
    """Residual blocks and transposed convolutions, ``b d h/f w/f -> b o h w`` with f = 2^len(widths).

    Args:
        image_shape: ``c h w``.
        dim: d.
        outputs: o.
        widths: channels from the grid to the image: the first is the width of the residual blocks. With ``top_kernel``
            all of them are also outputs of a transposed convolution; without it, all but the first.
        kernel: side of the transposed convolutions, 3 or 4.
        residual_blocks: number of residual blocks on the grid, after a 3x3 convolution; 0 leaves out both.
        residual_width: channels inside a residual block.
        batch_norm: batch norm after every convolution but the last.
        top_kernel: side of a last convolution at full resolution, odd. With 0 the last transposed convolution computes
            the outputs.

    Raises:
        ValueError: no width, a size below its least, a kernel other than 3 and 4, an even ``top_kernel`` > 0.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        dim: int,
        outputs: int,
        widths: Sequence[int] = (64, 32),
        kernel: int = 3,
        residual_blocks: int = 0,
        residual_width: int = 32,
        batch_norm: bool = False,
        top_kernel: int = 3,
    ) -> None:
        check_sizes(widths=widths, residual_width=residual_width)
        check_sizes(0, residual_blocks=residual_blocks, top_kernel=top_kernel)
        if not widths:
            raise ValueError("widths=[] double the grid 0 times: give at least one width")
        if kernel not in (3, 4) or (top_kernel and top_kernel % 2 == 0):
            raise ValueError(f"kernel must be 3 or 4 and top_kernel odd or 0, got {kernel} and {top_kernel}")
        layers = _residual_stack(dim, widths[0], residual_blocks, residual_width, batch_norm)
        stages = [widths[0] if layers else dim, *(widths if top_kernel else widths[1:])]
        for before, after in pairwise(stages):
            layers.append(TransposedConv2d(before, after, kernel, bias=not batch_norm))
            layers += [*_norm(after, batch_norm), nn.ReLU(inplace=True)]
        if top_kernel:
            layers.append(nn.Conv2d(stages[-1], outputs, top_kernel, padding=top_kernel // 2))
        else:
            layers.append(TransposedConv2d(stages[-1], outputs, kernel))
        super().__init__(*layers)

    def forward(self, z: Tensor) -> Tensor:
        """Compute the outputs of all pixels, ``b d h' w' -> b o h w``."""
        return super().forward(channels_last(z))


def _residual_stack(before: int, width: int, blocks: int, inner: int, batch_norm: bool) -> list[nn.Module]:
    if not blocks:
        return []
    first = [nn.Conv2d(before, width, kernel_size=3, padding=1, bias=not batch_norm), *_norm(width, batch_norm)]
    return [*first, *(ResidualBlock(width, inner, batch_norm) for _ in range(blocks)), nn.ReLU()]


def _norm(width: int, batch_norm: bool) -> list[nn.Module]:
    return [nn.BatchNorm2d(width)] if batch_norm else []
