"""Convolutions of stride 2 and the layers after them, for small classifiers. Axes: ``b`` batch, ``c h w`` image."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import nn

Shape = tuple[int, int, int]


def strided_convolutions(shape: Shape, widths: Sequence[int]) -> tuple[nn.Sequential, Shape]:
    """Build convolutions of stride 2 with ReLU for images ``c h w``; return them with the shape of their features."""
    channels, height, width = shape
    layers: list[nn.Module] = []
    for before, after in pairwise([channels, *widths]):
        layers += [nn.Conv2d(before, after, kernel_size=3, stride=2, padding=1), nn.ReLU()]
        height, width = (height + 1) // 2, (width + 1) // 2
    return nn.Sequential(*layers), ([channels, *widths][-1], height, width)


def dense(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    """Build a hidden layer with ReLU and a linear one, for flattened features ``b inputs``."""
    return nn.Sequential(nn.Flatten(), nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, outputs))
