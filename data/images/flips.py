"""Horizontal flips of training images, for pictures that mean the same in a mirror."""

from __future__ import annotations

import torch
from torch import Tensor

from ..keyed_random import FLIP, Key, uniform


def flip_half(images: Tensor, key: Key) -> Tensor:
    """Mirror each image left to right with probability 1/2, ``b c h w``: a pure function of images and key."""
    mirrored = uniform((len(images),), (FLIP, *key)) < 0.5  # b
    return torch.where(mirrored[:, None, None, None], images.flip(-1), images)
