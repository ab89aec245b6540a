"""Distributions over a grid of codes, by name in ``CODE_NETWORKS``: what each is, and the causal transformer.

Axes: ``b`` batch, ``h w`` grid, ``q`` codes per position, ``n`` = h w q codes in raster order, ``k`` codes of a
codebook, ``d`` width.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from einops import rearrange, reduce
from torch import Tensor, nn

from ....registry import Registry
from ...networks.transformer import Transformer

Draw = Callable[[Tensor], Tensor]  # logits ``... k`` -> codes ``...``: the sampler is the caller's


class CodeNetwork(nn.Module):
    """p(codes | label) over grids ``b h w q``. Labels ``b`` lie in [0, classes); without classes all are 0.

    Args:
        shape: ``h w q``.
        codebook_size: k.
        classes: number of labels, at least 1.
    """

    def __init__(self, shape: Sequence[int], codebook_size: int, classes: int = 1) -> None:
        super().__init__()
        self.shape, self.codes, self.codebook_size = tuple(shape), math.prod(shape), codebook_size
        self.classes = classes

    def nll(self, codes: Tensor, label: Tensor) -> Tensor:
        """-log p(codes | label), ``b h w q`` and ``b`` to ``b`` nats."""
        raise NotImplementedError

    def loss(self, codes: Tensor, label: Tensor) -> Tensor:
        """What training lowers, a scalar in nats per code."""
        return self.nll(codes, label).mean() / self.codes

    def sample(self, label: Tensor, draw: Draw, generator: torch.Generator | None = None) -> Tensor:
        """A grid for each label ``b``, ``-> b h w q``.

        Args:
            label: ``b``.
            draw: draws codes ``...`` from logits ``... k``.
            generator: the source of noise beyond that of ``draw``, where there is any.
        """
        raise NotImplementedError

    def tokens(self, codes: Tensor) -> Tensor:
        """Codes ``b h w q`` as numbers in [0, q k): the same code of another codebook is another token."""
        return codes + self.codebook_size * torch.arange(self.shape[-1], device=codes.device)


CODE_NETWORKS: Registry[type[CodeNetwork]] = Registry("code network")


class AutoregressiveNetwork(CodeNetwork):
    """The product of p(code | the codes before it in raster order). Subclasses write ``logits``."""

    def logits(self, codes: Tensor, label: Tensor) -> Tensor:
        """Logits of every code given those before it, ``b h w q -> b h w q k``."""
        raise NotImplementedError

    def nll(self, codes: Tensor, label: Tensor) -> Tensor:
        """See the base class; exact."""
        logits = rearrange(self.logits(codes, label), "b h w q k -> b k h w q")
        return reduce(F.cross_entropy(logits, codes, reduction="none"), "b h w q -> b", "sum")

    def sample(self, label: Tensor, draw: Draw, generator: torch.Generator | None = None) -> Tensor:
        """See the base class. The whole grid is evaluated for each code: subclasses evaluate less, with one result."""
        codes = label.new_zeros(len(label), *self.shape)
        flat = codes.view(len(label), self.codes)
        for i in range(self.codes):
            flat[:, i] = draw(self.logits(codes, label).flatten(1, 3)[:, i])
        return codes


@CODE_NETWORKS.register("transformer")
class CodeTransformer(AutoregressiveNetwork):
    """A causal transformer over the codes in raster order; the sequence starts with the label.

    Args:
        shape: ``h w q``.
        codebook_size: k.
        classes: number of labels.
        width: d.
        depth: number of blocks.
        heads: of the attention.
        dropout: in training.
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
    ) -> None:
        super().__init__(shape, codebook_size, classes)
        self.start = nn.Embedding(classes, width)
        self.embedding = nn.Embedding(self.shape[-1] * codebook_size, width)
        self.transformer = Transformer(width, depth, heads, self.codes, dropout=dropout)
        self.head = nn.Linear(width, codebook_size)

    def logits(self, codes: Tensor, label: Tensor) -> Tensor:
        """See the base class."""
        before = self.embedding(self.tokens(codes).flatten(1)[:, :-1])
        features = self.transformer(torch.cat([self.start(label)[:, None], before], 1))  # b n d
        return self.head(features).unflatten(1, self.shape)

    def sample(self, label: Tensor, draw: Draw, generator: torch.Generator | None = None) -> Tensor:
        """See the base class. Each code is evaluated once, with the keys and values of those before it."""
        cache, latest, drawn = self.transformer.cache(), self.start(label), []
        offsets = self.tokens(label.new_zeros(1, *self.shape)).flatten()
        for i in range(self.codes):
            features = self.transformer(latest[:, None], cache=cache)  # b 1 d
            drawn.append(draw(self.head(features[:, 0])))
            latest = self.embedding(drawn[-1] + offsets[i])
        return torch.stack(drawn, 1).unflatten(1, self.shape)
