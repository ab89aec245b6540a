"""A causal transformer over a grid of codes (Esser, Rombach & Ommer 2021, arXiv:2012.09841, section 3.2).

Axes: ``b`` batch, ``h w`` grid, ``q`` codes per position, ``n`` = h w q codes in raster order, ``k`` codes of a
codebook, ``d`` width.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ....ranges import check_sizes
from ...networks.transformer import Transformer
from .base import CODE_NETWORKS, AutoregressiveNetwork, Draw


@CODE_NETWORKS.register("transformer")
class CodeTransformer(AutoregressiveNetwork):
    """A causal transformer over the codes in raster order; the first input is the label.

    Args:
        shape: ``h w q``.
        codebook_size: k.
        classes: number of labels.
        width: feature width d.
        depth: number of blocks.
        heads: number of attention heads, a divisor of the width.
        dropout: dropout probability in training.
        gradient_checkpointing: compute features again in the backward pass, as ``Transformer`` does, to save memory.
    """

    def __init__(
        self,
        shape: Sequence[int],
        codebook_size: int,
        classes: int = 1,
        width: int = 128,
        depth: int = 5,
        heads: int = 4,
        dropout: float = 0.1,
        gradient_checkpointing: bool = False,
    ) -> None:
        super().__init__(shape, codebook_size, classes)
        check_sizes(width=width)
        self.start = nn.Embedding(classes, width)
        self.embedding = nn.Embedding(self.shape[-1] * codebook_size, width)
        self.transformer = Transformer(
            width, depth, heads, self.num_codes, dropout=dropout, gradient_checkpointing=gradient_checkpointing
        )
        self.head = nn.Linear(width, codebook_size)

    def blocks(self) -> Sequence[nn.Module]:
        """Return the blocks of the transformer."""
        return list(self.transformer.blocks)

    def logits(self, codes: Tensor, label: Tensor) -> Tensor:
        """Compute the logits of every code given earlier ones, ``b h w q -> b h w q k``."""
        earlier = self.embedding(self.tokens(codes).flatten(1)[:, :-1])
        features = self.transformer(torch.cat([self.start(label)[:, None], earlier], 1))  # b n d
        return self.head(features).unflatten(1, self.shape)

    def sample(self, label: Tensor, draw: Draw, generator: torch.Generator | None = None) -> Tensor:
        """Sample a grid for each label, ``b -> b h w q``, with cached keys and values of earlier codes."""
        cache, latest, sampled = self.transformer.cache(), self.start(label), []
        offsets = self.tokens(label.new_zeros(1, *self.shape)).flatten()  # n
        for i in range(self.num_codes):
            features = self.transformer(latest[:, None], cache=cache)  # b 1 d
            sampled.append(draw(self.head(features[:, 0])))
            latest = self.embedding(sampled[-1] + offsets[i])
        return torch.stack(sampled, 1).unflatten(1, self.shape)
