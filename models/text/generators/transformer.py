"""A causal transformer language model: ``networks.transformer`` between an embedding and a linear head."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ....ranges import check_sizes
from ....vocabulary import Vocabulary
from ...networks.transformer import Transformer
from .base import GENERATORS, LanguageModel, State


@GENERATORS.register("transformer")
class TransformerGenerator(LanguageModel):
    """A causal transformer with learned positions; sampling uses its key-value cache.

    Args:
        vocabulary: tokens, with EOS if sentences end.
        max_length: length of samples, and number of learned positions.
        width: width of embedding and blocks.
        depth: number of blocks.
        heads: number of attention heads.
        dropout: dropout probability in teacher forcing.
        gradient_checkpointing: compute features again in the backward pass, as ``Transformer`` does, to save memory.

    Raises:
        ValueError: a size below 1, a dropout outside [0, 1), or a width that is not divisible by heads.

    Example:
        >>> model = TransformerGenerator(Vocabulary(["<eos>", "a", "b"]), max_length=5, width=16)
        >>> tokens = model.sample(4, top_k=2)  # n t, token ids
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        max_length: int,
        width: int = 64,
        depth: int = 2,
        heads: int = 4,
        dropout: float = 0.1,
        gradient_checkpointing: bool = False,
    ) -> None:
        check_sizes(width=width)
        super().__init__(vocabulary, max_length, width, width)
        self.transformer = Transformer(
            width, depth, heads, max_length, dropout=dropout, gradient_checkpointing=gradient_checkpointing
        )

    def features(self, x: Tensor) -> Tensor:
        """Features of every position, ``b t d -> b t d``."""
        return self.transformer(x)

    def initial_state(self, b: int) -> State:
        """An empty key-value cache."""
        return self.transformer.cache()

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Features of the next position, ``b d -> b d``; the cache grows in place."""
        return self.transformer(x[:, None], cache=state)[:, 0], state

    def state_shapes(self) -> dict[str, tuple[int | str, ...]]:
        """Keys and values of all blocks, ``l b g m d`` each."""
        depth, d = len(self.transformer.blocks), self.transformer.head_width
        shape = (depth, "batch", self.embedding.embedding_dim // d, "past", d)
        return {"keys": shape, "values": shape}

    def pack_state(self, state: State) -> tuple[Tensor, ...]:
        """Keys and values, ``l b g m d`` each."""
        return torch.stack([cache.keys for cache in state]), torch.stack([cache.values for cache in state])

    def unpack_state(self, tensors: Sequence[Tensor]) -> State:
        """Key-value cache of the blocks."""
        state = self.transformer.cache()
        for cache, keys, values in zip(state, *tensors, strict=True):
            cache.keys, cache.values = keys, values
        return state
