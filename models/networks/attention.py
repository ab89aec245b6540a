"""Self-attention between the positions of a map: Ho, Jain & Abbeel 2020 (arXiv:2006.11239), appendix B.

Axes: ``b`` batch, ``c`` channels, ``h w`` map, ``n`` = h w positions.
"""

from __future__ import annotations

import math

import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn


class SpatialAttention(nn.Module):
    """x + W attention(norm(x)), one head over all positions. Time and memory grow with the square of h w.

    Args:
        channels: c.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = group_norm(channels)
        self.inputs = nn.Conv2d(channels, 3 * channels, kernel_size=1)
        self.output = nn.Conv2d(channels, channels, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        """Add what the other positions say, ``b c h w -> b c h w``."""
        query, key, value = rearrange(self.inputs(self.norm(x)), "b (three c) h w -> three b 1 (h w) c", three=3)
        mixed = F.scaled_dot_product_attention(query, key, value)  # b 1 n c
        return x + self.output(rearrange(mixed, "b 1 (h w) c -> b c h w", h=x.shape[-2]))


def group_norm(channels: int) -> nn.GroupNorm:
    """Build a group norm of 32 groups, or of fewer so that each has four channels or more."""
    return nn.GroupNorm(math.gcd(32, max(channels // 4, 1), channels), channels, eps=1e-6)
