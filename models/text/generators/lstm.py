"""An LSTM language model: ``networks.lstm`` between an embedding and a linear head."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ....ranges import check_sizes
from ....vocabulary import Vocabulary
from ...networks.lstm import LSTMStack
from .base import GENERATORS, LanguageModel, State


@GENERATORS.register("lstm")
class LSTMGenerator(LanguageModel):
    """A language model of LSTM layers.

    Args:
        vocabulary: tokens, with EOS if sentences end.
        max_length: length of samples.
        width: embedding width.
        hidden: width of every layer.
        layers: number of layers.
        dropout: dropout probability in teacher forcing; one mask per sequence.

    Raises:
        ValueError: a size below 1, or a dropout outside [0, 1).

    Example:
        >>> model = LSTMGenerator(Vocabulary(["<eos>", "a", "b"]), max_length=5, hidden=16, layers=2)
        >>> tokens = model.sample(4, temperature=0.7)  # n t, token ids
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        max_length: int,
        width: int = 32,
        hidden: int = 32,
        layers: int = 1,
        dropout: float = 0.0,
    ) -> None:
        check_sizes(width=width, hidden=hidden)
        super().__init__(vocabulary, max_length, width, hidden)
        self.cells = LSTMStack(width, hidden, layers, dropout)

    def features(self, x: Tensor) -> Tensor:
        """Features of every position, ``b t d -> b t h``."""
        return self.cells(x)

    def initial_state(self, b: int) -> State:
        """Hidden and cell state of each layer, and the dropout masks of all positions."""
        return self.cells.initial_state(b)

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Features of the next position, ``b d -> b h``, and the state after it."""
        return self.cells.step(x, state)

    def state_shapes(self) -> dict[str, tuple[int | str, ...]]:
        """Hidden and cell state of all layers, ``l b h`` each."""
        shape = (len(self.cells), "batch", self.cells.widths[-1])
        return {"hidden": shape, "cell": shape}

    def pack_state(self, state: State) -> tuple[Tensor, ...]:
        """Hidden and cell state, ``l b h`` each."""
        hidden, cell = zip(*state[0], strict=True)
        return torch.stack(hidden), torch.stack(cell)

    def unpack_state(self, tensors: Sequence[Tensor]) -> State:
        """State of each layer, without dropout masks."""
        hidden, cell = (tensor.unbind() for tensor in tensors)
        return list(zip(hidden, cell, strict=True)), [None] * len(self.cells.widths)
