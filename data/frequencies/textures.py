"""Pictures whose class lives in a few planted frequencies, with a classifier that is known to be optimal.

A picture of 32 x 32 is 8 x 8 blocks of 4 x 4, and 16 DCT coefficients of a block are its channels. In channel c the
coefficients of all blocks are AMPLITUDE T[c, y_c] + noise: T is a pattern of signs for each channel and class. In a
planted channel y_c is the class of the picture. In any other channel it is a class drawn for this picture and channel
alone, and the noise is stronger. So these channels look alike, have more variance, and say nothing. No planted one is
among the first four of the zigzag order: these four, and the four of the largest variance, classify by chance.

The noise is Gaussian and independent, so the best classifier that sees some channels chooses the class with the largest
product of the coefficients of the planted ones among them and their patterns. Axes: ``b`` pictures, ``n`` channels,
``y`` classes, ``h w`` blocks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..keyed_random import PLANTED_SETS, Key, normal, permutation, uniform

BLOCK, BLOCKS, SIDE, CLASSES = 4, 8, 32, 10
CHANNELS, PLANTED = BLOCK * BLOCK, 4
AMPLITUDE = 0.24  # of the patterns, where the noise of planted channels is 1
LOUDER = 1.15  # standard deviation of the noise of the other channels
CONTRAST = 0.1  # of pixels, in the place of coefficients of size 1; at 4.6 standard deviations they are cut off
FIRST = (0, 1, 4, 8)  # of the zigzag order


@dataclass(frozen=True)
class Textures:
    """The planted channels, and the patterns.

    Attributes:
        planted: True for the channels that hold the class, ``n``.
        patterns: T, signs ``n y h w``.
    """

    planted: Tensor
    patterns: Tensor

    @classmethod
    def draw(cls, number: int) -> Textures:
        """Draw the set of a number."""
        order = permutation(CHANNELS, (PLANTED_SETS, number, 0))
        free = torch.tensor([c for c in order.tolist() if c not in FIRST])
        planted = torch.zeros(CHANNELS, dtype=torch.bool).index_fill(0, free[:PLANTED], True)
        signs = uniform((CHANNELS, CLASSES, BLOCKS, BLOCKS), (PLANTED_SETS, number, 1)) < 0.5
        return cls(planted, torch.where(signs, -1.0, 1.0))

    def coefficients(self, labels: Tensor, key: Key) -> Tensor:
        """Draw the channels of pictures, ``b -> b n h w``; all randomness comes from ``key``."""
        b = len(labels)
        others = (uniform((b, CHANNELS), (*key, 0)) * CLASSES).long()
        classes = torch.where(self.planted, labels[:, None], others)  # b n
        patterns = self.patterns[torch.arange(CHANNELS), classes]  # b n h w
        loudness = torch.where(self.planted, 1.0, LOUDER)[:, None, None]
        return AMPLITUDE * patterns + loudness * normal(tuple(patterns.shape), (*key, 1))

    def images(self, labels: Tensor, key: Key) -> Tensor:
        """Draw pictures in [0, 1], ``b -> b 1 32 32``."""
        return to_images(self.coefficients(labels, key))

    def classify(self, coefficients: Tensor, open_channels: Tensor) -> Tensor:
        """Return the most probable class of each picture given some channels, ``b n h w`` and bool ``n`` ``-> b``.

        Without a planted channel among them it is the first class.
        """
        used = (self.planted & open_channels).float()
        return torch.einsum("n,bnhw,nyhw->by", used, coefficients, self.patterns).argmax(-1)


def to_images(coefficients: Tensor) -> Tensor:
    """Turn the coefficients of all blocks into pixels in [0, 1], ``b n h w -> b 1 H W``."""
    b, _, h, w = coefficients.shape
    basis = _basis().to(coefficients)
    blocks = torch.einsum("buvhw,ux,vy->bhxwy", coefficients.reshape(b, BLOCK, BLOCK, h, w), basis, basis)
    return (0.5 + CONTRAST * blocks.reshape(b, 1, h * BLOCK, w * BLOCK)).clamp(0.0, 1.0)


def to_coefficients(images: Tensor) -> Tensor:
    """Undo ``to_images``, up to what was cut off, ``b 1 H W -> b n h w``."""
    b, _, height, width = images.shape
    basis = _basis().to(images)
    blocks = ((images - 0.5) / CONTRAST).reshape(b, height // BLOCK, BLOCK, width // BLOCK, BLOCK)
    return torch.einsum("bhxwy,ux,vy->buvhw", blocks, basis, basis).flatten(1, 2)


def _basis() -> Tensor:
    """Orthonormal DCT-II, a row for each frequency."""
    u, x = torch.arange(BLOCK, dtype=torch.float64)[:, None], torch.arange(BLOCK, dtype=torch.float64)
    basis = (math.pi * (x + 0.5) * u / BLOCK).cos() * math.sqrt(2 / BLOCK)
    basis[0] /= math.sqrt(2)
    return basis.float()
