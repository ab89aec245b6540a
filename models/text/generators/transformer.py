"""A small causal transformer as a language model: the blocks of ``transformer``, with their cache for sampling."""

from __future__ import annotations

from torch import Tensor

from ...networks.transformer import Transformer
from .base import GENERATORS, Generator, State


@GENERATORS.register("transformer")
class TransformerGenerator(Generator):
    """Learned positions, a causal transformer, a linear head.

    Args:
        size: v.
        length: t, the longest sequence that there are positions for.
        end: the token that ends a sentence, if there is one.
        width: of the embedded tokens and of every block.
        depth: number of blocks.
        heads: of the attention.
        dropout: in training on real text.
    """

    def __init__(
        self,
        size: int,
        length: int,
        end: int | None = None,
        width: int = 64,
        depth: int = 2,
        heads: int = 4,
        dropout: float = 0.1,
    ) -> None:
        super().__init__(size, length, end, width, width)
        self.transformer = Transformer(width, depth, heads, length, dropout=dropout)

    def features(self, x: Tensor) -> Tensor:
        """See the base class."""
        return self.transformer(x)

    def start(self, b: int) -> State:
        """An empty cache."""
        return self.transformer.cache()

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """See the base class; the cache grows in place."""
        return self.transformer(x[:, None], cache=state)[:, 0], state
