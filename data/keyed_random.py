"""Random draws that are pure functions of a key: the same on every machine, and repeatable after a resume.

They are computed here from the raw output of NumPy's PCG64, whose stream is guaranteed never to change; NumPy's
distributions have no such guarantee. A key is a tuple of non-negative integers. Its first entry is one of the purposes
below, so that no two purposes share a stream.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

Key = tuple[int, ...]

SPLIT, FIXED_DRAW, SHUFFLE, FRESH_DRAW = 1, 2, 3, 4
ORACLE_PARAMETERS, ORACLE_TEXT, GRAMMAR_TEXT = 5, 6, 7
FLIP = 8
SLATE_ITEMS, SLATE_USERS = 20, 21
CIPHER_KEYS, CIPHER_TEXT = 24, 25
PLANTED_SETS, PLANTED_TEXTURES = 26, 27
CLUTTER_FIXED, CLUTTER_FRESH = 28, 29
SCENES = 30


def permutation(n: int, key: Key) -> Tensor:
    """Draw a random order of ``range(n)``, int64 ``n``."""
    return torch.from_numpy(np.argsort(np.random.PCG64(key).random_raw(n), kind="stable"))


def bernoulli(levels: Tensor, key: Key) -> Tensor:
    """Draw ones with probability ``levels / 255``: uint8 levels of any shape, to uint8 0 or 1 of that shape.

    16 random bits decide each pixel (65535 = 257 * 255). The probability is exact at 0 and 255 and within 2e-5 between
    them, at a quarter of the cost of uniform floats.
    """
    grey = levels.numpy()
    raw = np.random.PCG64(key).random_raw(-(-grey.size // 4))
    noise = raw.view(np.uint16)[: grey.size].reshape(grey.shape)
    ones = (noise < grey * np.uint16(257)) | (grey == 255)
    return torch.from_numpy(ones.view(np.uint8))


def uniform(shape: tuple[int, ...], key: Key) -> Tensor:
    """Draw float64 numbers in the open interval (0, 1), from 52 random bits each."""
    raw = np.random.PCG64(key).random_raw(math.prod(shape)) >> np.uint64(12)
    return torch.from_numpy((raw + 0.5) * 2.0**-52).reshape(shape)


def normal(shape: tuple[int, ...], key: Key) -> Tensor:
    """Draw standard normal float32 numbers."""
    return torch.special.ndtri(uniform(shape, key)).float()
