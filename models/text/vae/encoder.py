"""An encoder of sentences: GRUs in both directions. Axes: ``b`` batch, ``t`` time, ``c`` classes, ``f`` features."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from ....ranges import check_dropout, check_sizes


@dataclass(frozen=True)
class GRUConfig:
    """The encoder's sizes.

    Args:
        width: width of token embeddings.
        hidden: width of either GRU.
        dropout: dropout probability of embeddings and of the last states.

    Raises:
        ValueError: a size below 1, or a dropout outside [0, 1).
    """

    width: int = 64
    hidden: int = 128
    dropout: float = 0.0

    def __post_init__(self) -> None:
        check_sizes(width=self.width, hidden=self.hidden)
        check_dropout(dropout=self.dropout)


class SentenceEncoder(nn.Module):
    """The last state of a GRU in each direction, and an affine map.

    Args:
        vocab_size: number of tokens.
        features: f.
        classes: c, 0 without labels.
        config: sizes.
    """

    def __init__(self, vocab_size: int, features: int, classes: int, config: GRUConfig) -> None:
        super().__init__()
        self.dropout = config.dropout
        self.embedding = nn.Embedding(vocab_size, config.width)
        self.label_embedding = nn.Linear(classes, config.width, bias=False) if classes else None
        self.cells = nn.GRU(config.width, config.hidden, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * config.hidden, features)

    def forward(self, tokens: Tensor, lengths: Tensor, label: Tensor | None = None) -> Tensor:
        """Return features of sentences ``b t`` of some lengths ``b`` and one-hot labels ``b c``, ``-> b f``."""
        x = self.embedding(tokens)
        if self.label_embedding is not None and label is not None:
            x = x + self.label_embedding(label)[:, None]
        x = F.dropout(x, self.dropout, self.training)
        packed = pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
        _, last = self.cells(packed)  # 2 b h
        return self.head(F.dropout(torch.cat([*last], -1), self.dropout, self.training))
