"""A convolutional encoder and decoder between images ``b c h w`` and a grid of feature vectors.

Strided convolutions halve the image once for each width, residual blocks work on the grid, and the decoder mirrors that
with transposed convolutions: van den Oord, Vinyals & Kavukcuoglu 2017 (arXiv:1711.00937), section 4.1. The arguments
also cover its two smaller public forms, without residual blocks or with a layer at the full resolution.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn


class ResidualBlock(nn.Module):
    """x + conv1x1(relu(conv3x3(relu(x)))), with batch norm behind each convolution if asked for."""

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
        """Keep the shape ``b c h w``."""
        return x + self.branch(x)


def conv_encoder(
    channels: int,
    features: int,
    widths: Sequence[int],
    kernel: int,
    residual_blocks: int,
    residual_width: int,
    batch_norm: bool,
) -> nn.Sequential:
    """Images ``b c h w`` to features ``b d h/f w/f``, f = 2 ** len(widths).

    Args:
        channels: c.
        features: d, the output of a last 1x1 convolution.
        widths: channels behind each convolution of stride 2.
        kernel: side of those, 3 or 4.
        residual_blocks: blocks on the grid, behind a 3x3 convolution; with 0 there is neither.
        residual_width: channels inside a block.
        batch_norm: behind every convolution but the last.
    """
    layers: list[nn.Module] = []
    for before, after in pairwise([channels, *widths]):
        layers.append(nn.Conv2d(before, after, kernel, stride=2, padding=1, bias=not batch_norm))
        layers += [*_norm(after, batch_norm), nn.ReLU(inplace=True)]
    layers += _residual_stack(widths[-1], widths[-1], residual_blocks, residual_width, batch_norm)
    return nn.Sequential(*layers, nn.Conv2d(widths[-1], features, kernel_size=1))


def conv_decoder(
    outputs: int,
    features: int,
    widths: Sequence[int],
    kernel: int,
    residual_blocks: int,
    residual_width: int,
    batch_norm: bool,
    top_kernel: int,
) -> nn.Sequential:
    """Features ``b d h/f w/f`` to ``b o h w``: the mirror image of the encoder of the same arguments.

    Args:
        outputs: o.
        features: d.
        widths, kernel, residual_blocks, residual_width, batch_norm: the encoder's.
        top_kernel: side of a last convolution at the full resolution, over the first of ``widths`` channels, odd; with
            0 the last transposed convolution gives the outputs itself.
    """
    layers = _residual_stack(features, widths[-1], residual_blocks, residual_width, batch_norm)
    stages = [widths[-1] if layers else features, *reversed(widths if top_kernel else widths[:-1])]
    for before, after in pairwise(stages):
        layers.append(_double(before, after, kernel, bias=not batch_norm))
        layers += [*_norm(after, batch_norm), nn.ReLU(inplace=True)]
    if top_kernel:
        layers.append(nn.Conv2d(stages[-1], outputs, top_kernel, padding=top_kernel // 2))
    else:
        layers.append(_double(stages[-1], outputs, kernel))
    return nn.Sequential(*layers)


def _residual_stack(before: int, width: int, blocks: int, inner: int, batch_norm: bool) -> list[nn.Module]:
    if not blocks:
        return []
    first = [nn.Conv2d(before, width, kernel_size=3, padding=1, bias=not batch_norm), *_norm(width, batch_norm)]
    return [*first, *(ResidualBlock(width, inner, batch_norm) for _ in range(blocks)), nn.ReLU()]


def _double(before: int, after: int, kernel: int, bias: bool = True) -> nn.ConvTranspose2d:
    # an odd kernel would leave out the last row and column
    return nn.ConvTranspose2d(before, after, kernel, stride=2, padding=1, output_padding=kernel % 2, bias=bias)


def _norm(width: int, batch_norm: bool) -> list[nn.Module]:
    return [nn.BatchNorm2d(width)] if batch_norm else []
