"""A transformer over sequences of vectors, causal or bidirectional, with a cache of keys and values.

Vaswani et al. 2017 (arXiv:1706.03762), section 3, with the norm in front of each branch (Xiong et al. 2020,
arXiv:2002.04745). Positions are learned, or rotary (Su et al. 2021, arXiv:2104.09864, eq. 34). Axes: ``b`` batch, ``n``
positions of this call, ``m`` all positions so far, ``g`` heads, ``d`` width.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn


class Memory:
    """Keys and values of one block at the positions so far, ``b g m d``; gradients pass through them."""

    def __init__(self) -> None:
        self.keys: Tensor | None = None
        self.values: Tensor | None = None

    @property
    def length(self) -> int:
        """The number m of positions."""
        return 0 if self.keys is None else self.keys.shape[-2]

    def append(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Add those of new positions ``b g n d``, return all of them."""
        if self.keys is not None and self.values is not None:
            keys, values = torch.cat([self.keys, keys], -2), torch.cat([self.values, values], -2)
        self.keys, self.values = keys, values
        return keys, values


class Attention(nn.Module):
    """Self-attention with several heads.

    Args:
        width: d.
        heads: g.
        dropout: of the attention weights, in training.
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.inputs = nn.Linear(width, 3 * width, bias=False)
        self.output = nn.Linear(width, width, bias=False)

    def forward(
        self, x: Tensor, allowed: Tensor | None, angles: Tensor | None = None, memory: Memory | None = None
    ) -> Tensor:
        """``b n d -> b n d``; ``allowed``, boolean ``... n m``, says which keys a position sees (all without it)."""
        q, k, v = rearrange(self.inputs(x), "b n (three g d) -> three b g n d", three=3, g=self.heads)
        if angles is not None:
            q, k = rotate(q, angles), rotate(k, angles)
        if memory is not None:
            k, v = memory.append(k, v)
        dropout = self.dropout if self.training else 0.0
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=allowed, dropout_p=dropout)
        return self.output(rearrange(mixed, "b g n d -> b n (g d)"))


class Block(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x)), where the MLP is four times as wide.

    Args:
        width, heads, dropout: as for ``Attention``; dropout is also that of both branches.
        depth: blocks of the whole transformer: the sum over their branches starts no larger than one of them.
    """

    def __init__(self, width: int, heads: int, dropout: float, depth: int = 1) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.attention = Attention(width, heads, dropout)
        last = nn.Linear(4 * width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), last)
        self.dropout = nn.Dropout(dropout)
        with torch.no_grad():
            for branch in (self.attention.output, last):
                branch.weight.mul_((2 * depth) ** -0.5)

    def forward(
        self, x: Tensor, allowed: Tensor | None, angles: Tensor | None = None, memory: Memory | None = None
    ) -> Tensor:
        """``b n d -> b n d``; the arguments are those of ``Attention``."""
        x = x + self.dropout(self.attention(self.norms[0](x), allowed, angles, memory))
        return x + self.dropout(self.mlp(self.norms[1](x)))


class Transformer(nn.Module):
    """Blocks, positions and a last norm: ``b n d -> b n d``.

    Args:
        width: d.
        depth: number of blocks.
        heads: g, a divisor of the width.
        length: positions are learned, for sequences up to this length; without it they are rotary, for any length.
        causal: a position sees itself and those before it; otherwise all.
        dropout: of embeddings, attention weights and branches, in training.

    Raises:
        ValueError: a width that the heads do not divide, or, for rotary positions, divide into odd parts.
    """

    def __init__(
        self,
        width: int,
        depth: int,
        heads: int,
        length: int | None = None,
        causal: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if min(depth, heads) < 1:
            raise ValueError(f"depth and heads must be >= 1, got {depth} and {heads}")
        if width % heads or (length is None and width // heads % 2):
            raise ValueError(f"width must be divisible by heads, into even parts if rotary, got {width} and {heads}")
        self.causal, self.head_width = causal, width // heads
        self.positions = None if length is None else nn.Parameter(0.02 * torch.randn(length, width))
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(Block(width, heads, dropout, depth) for _ in range(depth))
        self.norm = nn.LayerNorm(width)

    def cache(self) -> list[Memory]:
        """An empty cache for ``forward``, one memory for each block."""
        return [Memory() for _ in self.blocks]

    def forward(self, x: Tensor, *, valid: Tensor | None = None, cache: list[Memory] | None = None) -> Tensor:
        """Features of a sequence, or of the next part of one.

        Args:
            x: ``b n d``.
            valid: False at padding, boolean ``b m``: of the positions in the cache too. A padded position is seen by
                none but itself; what comes out at it means nothing.
            cache: of ``cache()``. The positions of x follow those that it holds, and are added to it. The outputs are
                those that the whole sequence would have given at once.

        Raises:
            ValueError: more positions than have been learned; a cache where positions see what comes later.
        """
        if cache is not None and not self.causal:
            raise ValueError("a cache needs causal=True: here earlier positions would change with later ones")
        n = x.shape[1]
        start = cache[0].length if cache else 0
        x, angles = self._place(x, start)
        allowed = attention_mask(n, start + n, self.causal, valid, x.device)
        x = self.dropout(x)
        for i, block in enumerate(self.blocks):
            x = block(x, allowed, angles, cache[i] if cache else None)
        return self.norm(x)

    def _place(self, x: Tensor, start: int) -> tuple[Tensor, Tensor | None]:
        """x with learned positions, or beside the angles of rotary ones."""
        end = start + x.shape[1]
        if self.positions is None:
            return x, rotary_angles(torch.arange(start, end, device=x.device), self.head_width)
        if end > len(self.positions):
            raise ValueError(f"this transformer has learned {len(self.positions)} positions, got a sequence of {end}")
        return x + self.positions[start:end], None


def attention_mask(
    n: int, m: int, causal: bool, valid: Tensor | None = None, device: torch.device | None = None
) -> Tensor | None:
    """Which of m positions each of the last n sees: boolean ``n m``, with padding ``b 1 n m``; None if it is all."""
    query, key = torch.arange(m - n, m, device=device)[:, None], torch.arange(m, device=device)
    allowed = key <= query if causal and n > 1 else None
    if valid is None:
        return allowed
    seen = rearrange(valid, "b m -> b 1 1 m") | (key == query)  # a softmax over nothing is NaN in some kernels
    return seen if allowed is None else allowed & seen


def rotary_angles(positions: Tensor, width: int) -> Tensor:
    """position * 10000 ** (-2 i / width) for i < width / 2, ``n -> n width/2``."""
    exponents = torch.arange(0, width, 2, device=positions.device) / width
    return positions[:, None] * 10000.0**-exponents


def rotate(x: Tensor, angles: Tensor) -> Tensor:
    """Turn each pair (x_i, x_{i + d/2}) by its angle, ``... n d`` and ``n d/2``: dot products see distances only."""
    first, second = x.chunk(2, -1)
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    return torch.cat([first * cos - second * sin, first * sin + second * cos], -1)
