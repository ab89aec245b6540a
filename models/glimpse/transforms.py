"""Differentiable warps of images: matrices by name, and sampling that keeps the background. Pure functions.

Spatial transformers: Jaderberg, Simonyan, Zisserman & Kavukcuoglu 2015 (arXiv:1506.02025), sections 3.2 and 3.3. Axes:
``b`` batch, ``c h w`` image.
"""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...registry import Registry
from ..relaxed.surrogate import upcast


class Transform(nn.Module):
    """Base class of transforms, and the affine one: six free numbers, the identity where they are 0.

    Matrices are at least float32, in mixed precision too.
    """

    numbers: ClassVar[int] = 6
    shifts: ClassVar[tuple[int, int]] = (2, 5)  # which of them move the window right and down

    def forward(self, raw: Tensor) -> Tensor:
        """Return matrices ``b 2 3`` from output to input coordinates in [-1, 1], for numbers ``b 6``."""
        raw = upcast(raw)
        identity = raw.new_tensor([1.0, 0.0, 0.0, 0.0, 1.0, 0.0])
        return (raw + identity).view(-1, 2, 3)


TRANSFORMS: Registry[type[Transform]] = Registry("transform", base=Transform)
TRANSFORMS.register("affine")(Transform)


@TRANSFORMS.register("attention")
class AttentionTransform(Transform):
    """Scale and shift only (their eq. 2): a window of the image that is moved and resized, never turned."""

    numbers = 3
    shifts = (1, 2)

    def forward(self, raw: Tensor) -> Tensor:
        """Return matrices ``b 2 3`` for the logarithm of the scale and two shifts, ``b 3``."""
        scale, x, y = upcast(raw).unbind(-1)
        scale, zero = scale.exp(), torch.zeros_like(x)
        return torch.stack([scale, zero, x, zero, scale, y], -1).view(-1, 2, 3)


def warp(images: Tensor, theta: Tensor, side: int | None = None) -> Tensor:
    """Sample images bilinearly at transformed places, ``b c h w`` and ``b 2 3 -> b c side side``.

    Beyond the edge is the colour of the edge, so that the background stays what it is, whatever its level. With zeros
    there a normalised image, whose background is -mean / std, would get a bright frame.

    Args:
        images: of any levels.
        theta: matrices from output to input coordinates in [-1, 1], the outer edges of the image.
        side: of the output; None keeps the shape of the images.
    """
    height, width = images.shape[-2:] if side is None else (side, side)
    # Not in bfloat16, which has seven bits of a coordinate: images of 60 pixels would be blurred.
    with torch.autocast(images.device.type, enabled=False):
        grid = F.affine_grid(upcast(theta), [*images.shape[:2], height, width], align_corners=False)
        found = F.grid_sample(upcast(images), grid, mode="bilinear", padding_mode="border", align_corners=False)
    return found.to(images.dtype)
