"""Residual networks between images of 32 to 256 pixels and a grid of vectors.

The autoencoder of Esser, Rombach & Ommer 2021 (arXiv:2012.09841, appendix A), whose blocks are those of Ho, Jain &
Abbeel 2020 (arXiv:2006.11239, appendix B): group norm, SiLU, two 3x3 convolutions and a shortcut; self-attention on
small maps. One level per multiplier; the image is halved between two levels.

Axes: ``b`` batch, ``c h w`` image, ``d h' w'`` grid of vectors, ``o`` outputs per pixel position.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from ...ranges import check_sizes
from .attention import SpatialAttention, group_norm
from .grid import GRID_DECODERS, GRID_ENCODERS
from .upsampling import UpsampledConv2d, channels_last


class PreNormBlock(nn.Module):
    """x + conv3x3(silu(norm(conv3x3(silu(norm(x)))))), with a 1x1 convolution of x where the width changes.

    Args:
        before: channels of x.
        after: channels of the output.
    """

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            *(group_norm(before), nn.SiLU(), nn.Conv2d(before, after, kernel_size=3, padding=1)),
            *(group_norm(after), nn.SiLU(), nn.Conv2d(after, after, kernel_size=3, padding=1)),
        )
        self.shortcut = nn.Identity() if before == after else nn.Conv2d(before, after, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        """Add the branch, ``b c h w -> b c' h w``."""
        return self.shortcut(x) + self.branch(x)


@GRID_ENCODERS.register("residual")
class ResidualEncoder(nn.Sequential):
    """Levels of residual blocks, ``b c h w -> b d h/f w/f`` with f = 2^(len(multipliers) - 1).

    Args:
        image_shape: ``c h w``.
        dim: d.
        channels: channels of the first convolution.
        multipliers: of ``channels`` at each level, from the image to the grid.
        blocks: number of residual blocks of each level.
        attention: largest side, in positions, of the maps with self-attention; 1 has none.

    Raises:
        ValueError: no multiplier, a size below 1, an image whose sides are not divisible by f.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        dim: int,
        channels: int = 64,
        multipliers: Sequence[int] = (1, 2, 4),
        blocks: int = 2,
        attention: int = 16,
    ) -> None:
        side = _grid_side(image_shape, channels, multipliers, blocks, attention)
        widths = [channels, *(channels * multiplier for multiplier in multipliers)]
        side *= 2 ** (len(multipliers) - 1)
        layers: list[nn.Module] = [nn.Conv2d(image_shape[0], channels, kernel_size=3, padding=1)]
        for level, (before, after) in enumerate(pairwise(widths)):
            if level:
                layers.append(nn.Conv2d(before, before, kernel_size=3, stride=2, padding=1))
                side //= 2
            layers += _level(before, after, blocks, side <= attention)
        last = widths[-1]
        layers += [*_middle(last, side <= attention), group_norm(last), nn.SiLU()]
        super().__init__(*layers, nn.Conv2d(last, dim, kernel_size=1))

    def forward(self, x: Tensor) -> Tensor:
        """Compute the grid of vectors, ``b c h w -> b d h' w'``."""
        return super().forward(channels_last(x))


@GRID_DECODERS.register("residual")
class ResidualDecoder(nn.Sequential):
    """Levels of residual blocks, ``b d h/f w/f -> b o h w`` with f = 2^(len(multipliers) - 1).

    Args:
        image_shape: ``c h w``.
        dim: d.
        outputs: o.
        channels: multiplied by ``multipliers``.
        multipliers: of ``channels`` at each level, from the grid to the image.
        blocks: number of residual blocks of each level.
        attention: largest side, in positions, of the maps with self-attention; 1 has none.

    Raises:
        ValueError: no multiplier, a size below 1, an image whose sides are not divisible by f.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        dim: int,
        outputs: int,
        channels: int = 64,
        multipliers: Sequence[int] = (4, 2, 1),
        blocks: int = 2,
        attention: int = 16,
    ) -> None:
        side = _grid_side(image_shape, channels, multipliers, blocks, attention)
        widths = [channels * multiplier for multiplier in (multipliers[0], *multipliers)]
        layers = [nn.Conv2d(dim, widths[0], kernel_size=3, padding=1), *_middle(widths[0], side <= attention)]
        for level, (before, after) in enumerate(pairwise(widths)):
            if level:
                layers.append(UpsampledConv2d(before, before))
                side *= 2
            layers += _level(before, after, blocks, side <= attention)
        layers += [group_norm(widths[-1]), nn.SiLU()]
        super().__init__(*layers, nn.Conv2d(widths[-1], outputs, kernel_size=3, padding=1))

    def forward(self, z: Tensor) -> Tensor:
        """Compute the outputs of all pixels, ``b d h' w' -> b o h w``."""
        return super().forward(channels_last(z))


def _level(before: int, after: int, blocks: int, attention: bool) -> list[nn.Module]:
    """Build residual blocks, each with self-attention after it or not."""
    layers: list[nn.Module] = []
    for index in range(blocks):
        layers.append(PreNormBlock(after if index else before, after))
        layers += [SpatialAttention(after)] if attention else []
    return layers


def _middle(width: int, attention: bool) -> list[nn.Module]:
    """Build two residual blocks on the grid, with self-attention between them or not."""
    between = [SpatialAttention(width)] if attention else []
    return [PreNormBlock(width, width), *between, PreNormBlock(width, width)]


def _grid_side(
    image_shape: Sequence[int], channels: int, multipliers: Sequence[int], blocks: int, attention: int
) -> int:
    """Check the options, and return the longer side of the grid."""
    check_sizes(channels=channels, multipliers=multipliers, blocks=blocks, attention=attention)
    _, height, width = image_shape
    factor = 2 ** max(len(multipliers) - 1, 0)
    if not multipliers or height % factor or width % factor:
        raise ValueError(
            f"multipliers={list(multipliers)} halve the image {max(len(multipliers) - 1, 0)} times: give at least one, "
            f"and images whose height and width are divisible by {factor}, not {height} x {width}"
        )
    return max(height, width) // factor
