"""A transformer over sequences of vectors, causal or bidirectional, with a cache of keys and values.

Vaswani et al. 2017 (arXiv:1706.03762), section 3, with pre-norm blocks (Xiong et al. 2020, arXiv:2002.04745). Positions
are learned, or rotary (Su et al. 2021, arXiv:2104.09864, eq. 34). Axes: ``b`` batch, ``n`` positions of this call,
``m`` all positions so far, ``g`` heads, ``d`` width.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ...ranges import check_dropout, check_sizes

Length = int | torch.SymInt


class KVCache:
    """Keys and values of one block at the positions so far, ``b g m d``; gradients pass through them."""

    def __init__(self) -> None:
        self.keys: Tensor | None = None
        self.values: Tensor | None = None

    @property
    def length(self) -> Length:
        """Number of positions m, a symbol in a graph that is exported."""
        return 0 if self.keys is None else self.keys.shape[-2]

    def append(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Add keys and values of new positions, ``b g n d``, and return those of all positions, ``b g m d``."""
        if self.keys is not None and self.values is not None:
            keys, values = torch.cat([self.keys, keys], -2), torch.cat([self.values, values], -2)
        self.keys, self.values = keys, values
        return keys, values


class Attention(nn.Module):
    """Multi-head self-attention.

    Args:
        width: d.
        heads: g.
        dropout: dropout probability of the attention weights, in training.
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.inputs = nn.Linear(width, 3 * width, bias=False)
        self.output = nn.Linear(width, width, bias=False)

    def forward(
        self, x: Tensor, attention_mask: Tensor | None, angles: Tensor | None = None, cache: KVCache | None = None
    ) -> Tensor:
        """Mix the positions of a sequence, ``b n d -> b n d``.

        Args:
            x: ``b n d``.
            attention_mask: boolean ``... n m``, True where position n attends to position m; None for all.
            angles: ``n d/2g`` for rotary positions.
            cache: keys and values of earlier positions; those of x are appended.
        """
        q, k, v = rearrange(self.inputs(x), "b n (three g d) -> three b g n d", three=3, g=self.heads)
        if angles is not None:
            q, k = rotate(q, angles), rotate(k, angles)
        if cache is not None:
            k, v = cache.append(k, v)
        dropout = self.dropout if self.training else 0.0
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=attention_mask, dropout_p=dropout)
        return self.output(rearrange(mixed, "b g n d -> b n (g d)"))


class Block(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x)), with an MLP four times as wide.

    Args:
        width: d.
        heads: g.
        dropout: dropout probability of the attention weights and of both branches.
        depth: number of blocks of the transformer. Branches start scaled by (2 depth)^-1/2, so that the variance of
            their sum does not grow with depth.
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
        self, x: Tensor, attention_mask: Tensor | None, angles: Tensor | None = None, cache: KVCache | None = None
    ) -> Tensor:
        """Apply both branches, ``b n d -> b n d``; arguments as for ``Attention``."""
        x = x + self.dropout(self.attention(self.norms[0](x), attention_mask, angles, cache))
        return x + self.dropout(self.mlp(self.norms[1](x)))


class Transformer(nn.Module):
    """Positions, blocks and a final norm: ``b n d -> b n d``.

    Args:
        width: d.
        depth: number of blocks.
        heads: g, a divisor of the width.
        length: number of learned positions, the longest sequence; None for rotary positions and any length.
        causal: each position attends to itself and earlier ones; otherwise to all.
        dropout: dropout probability of embeddings, attention weights and branches, in training.
        gradient_checkpointing: keep the inputs of blocks only, and compute what is inside again in the backward pass
            (Chen et al. 2016, arXiv:1604.06174), for the same gradients. Nothing where a cache is used.

    Raises:
        ValueError: a size below 1, a dropout outside [0, 1), a width that is not divisible by heads or, for rotary
            positions, into even parts.

    Example:
        >>> model = Transformer(width=16, depth=2, heads=4)
        >>> x = torch.randn(3, 10, 16)  # b n d
        >>> features = model(x)
        >>> cache = model.cache()
        >>> parts = [model(part, cache=cache) for part in x.split(1, dim=1)]  # the same, position by position
    """

    def __init__(
        self,
        width: int,
        depth: int,
        heads: int,
        length: int | None = None,
        causal: bool = True,
        dropout: float = 0.0,
        gradient_checkpointing: bool = False,
    ) -> None:
        super().__init__()
        check_sizes(width=width, depth=depth, heads=heads)
        check_dropout(dropout=dropout)
        if width % heads or (length is None and width // heads % 2):
            raise ValueError(f"width must be divisible by heads, into even parts if rotary, got {width} and {heads}")
        self.causal, self.head_width = causal, width // heads
        self.gradient_checkpointing = gradient_checkpointing
        self.positions = None if length is None else nn.Parameter(0.02 * torch.randn(length, width))
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(Block(width, heads, dropout, depth) for _ in range(depth))
        self.norm = nn.LayerNorm(width)

    def cache(self) -> list[KVCache]:
        """Return an empty cache for ``forward``, one entry per block."""
        return [KVCache() for _ in self.blocks]

    def forward(self, x: Tensor, *, valid: Tensor | None = None, cache: list[KVCache] | None = None) -> Tensor:
        """Compute the features of a sequence, or of its next part, ``b n d -> b n d``.

        Args:
            x: ``b n d``.
            valid: boolean ``b m``, False at padding, positions in the cache included. Only a padded position attends to
                itself; its own output is meaningless.
            cache: from ``cache()``. The positions of x follow those in the cache and are appended to it. The outputs
                equal those of the whole sequence in one call.

        Raises:
            ValueError: more positions than learned ones; a cache without causal attention.
        """
        if cache is not None and not self.causal:
            raise ValueError("a cache needs causal=True: here earlier positions would change with later ones")
        n = x.shape[1]
        start = cache[0].length if cache else 0
        x, angles = self._add_positions(x, start)
        mask = attention_mask(n, start + n, self.causal, valid, x.device)
        x = self.dropout(x)
        again = self.gradient_checkpointing and cache is None and torch.is_grad_enabled()
        for i, block in enumerate(self.blocks):
            if again:
                x = checkpoint(block, x, mask, angles, use_reentrant=False)  # dropout draws the same again
            else:
                x = block(x, mask, angles, cache[i] if cache else None)
        return self.norm(x)

    def _add_positions(self, x: Tensor, start: Length) -> tuple[Tensor, Tensor | None]:
        """x plus its learned positions and None, or x and the angles of its rotary positions."""
        end = start + x.shape[1]
        if self.positions is None:
            return x, rotary_angles(torch.arange(start, end, device=x.device), self.head_width)
        if end > len(self.positions):
            raise ValueError(f"this transformer has learned {len(self.positions)} positions, got a sequence of {end}")
        return x + self.positions[start:end], None


def attention_mask(
    n: int, m: Length, causal: bool, valid: Tensor | None = None, device: torch.device | None = None
) -> Tensor | None:
    """Return which of m positions each of the last n attends to: ``n m``, with padding ``b 1 n m``; None for all."""
    query, key = torch.arange(m - n, m, device=device)[:, None], torch.arange(m, device=device)
    causal_mask = key <= query if causal and n > 1 else None
    if valid is None:
        return causal_mask
    # Padding attends to itself: a softmax over nothing is NaN in some kernels.
    visible = rearrange(valid, "b m -> b 1 1 m") | (key == query)
    return visible if causal_mask is None else causal_mask & visible


def rotary_angles(positions: Tensor, width: int) -> Tensor:
    """Return position * 10000 ** (-2 i / width) for i < width / 2, ``n -> n width/2`` (float32)."""
    exponents = torch.arange(0, width, 2, dtype=torch.float32, device=positions.device) / width
    return positions[:, None] * 10000.0**-exponents


def rotate(x: Tensor, angles: Tensor) -> Tensor:
    """Rotate each pair (x_i, x_{i + d/2}), ``... n d``, by its angle, ``n d/2``.

    Dot products of rotated vectors depend on the distance of their positions only.
    """
    first, second = x.chunk(2, -1)
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    return torch.cat([first * cos - second * sin, first * sin + second * cos], -1)
