"""Random draws that are pure functions of a key: the same on every machine, and again after a resume.

They use the raw output of NumPy's PCG64, whose stream is fixed for ever, and not the distributions on top of it,
which NumPy may change. A key is a tuple of non-negative integers; its first one names the purpose (below), so that no
two purposes ever share a stream.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

Key = tuple[int, ...]

SPLIT, FIXED_DRAW, SHUFFLE, FRESH_DRAW = 1, 2, 3, 4
ORACLE_PARAMETERS, ORACLE_TEXT, GRAMMAR_TEXT = 5, 6, 7


def permutation(n: int, key: Key) -> Tensor:
    """A random order of ``range(n)``: int64 ``n``."""
    return torch.from_numpy(np.argsort(np.random.PCG64(key).random_raw(n), kind="stable"))


def bernoulli(levels: Tensor, key: Key) -> Tensor:
    """Ones with probability ``levels / 255``, for uint8 levels of any shape: uint8 0 or 1 of that shape.

    16 random bits decide each pixel (65535 = 257 * 255): exact at 0 and 255, within 2e-5 between them, and a quarter of
    the price of uniform floats.
    """
    grey = levels.numpy()
    raw = np.random.PCG64(key).random_raw(-(-grey.size // 4))
    noise = raw.view(np.uint16)[: grey.size].reshape(grey.shape)
    ones = (noise < grey * np.uint16(257)) | (grey == 255)
    return torch.from_numpy(ones.view(np.uint8))


def uniform(shape: tuple[int, ...], key: Key) -> Tensor:
    """Float64 numbers of 52 random bits in the open interval (0, 1)."""
    raw = np.random.PCG64(key).random_raw(math.prod(shape)) >> np.uint64(12)
    return torch.from_numpy((raw + 0.5) * 2.0**-52).reshape(shape)


def normal(shape: tuple[int, ...], key: Key) -> Tensor:
    """Standard normal float32 numbers."""
    return torch.special.ndtri(uniform(shape, key)).float()
