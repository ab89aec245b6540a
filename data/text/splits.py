"""The form that every text set is made into, and the registry of what makes them.

A new one is one file with one decorated function that returns ``TextSplits``, and its import in ``text.py``. It takes
``folders`` and, by name, those optional arguments of ``TextData`` that it has a use for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from ...registry import Registry
from ...vocabulary import Vocabulary


@dataclass(frozen=True)
class Sequences:
    """Token ids ``b t`` and how many of each row count, ``b``, both int64."""

    tokens: Tensor
    lengths: Tensor

    @classmethod
    def ended(cls, rows: Iterable[Sequence[int]], width: int, vocabulary: Vocabulary) -> Sequences:
        """Sentences with an end put behind each, padded to ``width``."""
        rows = list(rows)
        tokens = np.full((len(rows), width), vocabulary.pad, np.int64)
        for number, row in enumerate(rows):
            tokens[number, : len(row)] = row
        return cls.of(torch.from_numpy(tokens), vocabulary)

    @classmethod
    def of(cls, tokens: Tensor, vocabulary: Vocabulary) -> Sequences:
        """Whole rows ``b t`` of tokens."""
        return cls(tokens, vocabulary.lengths(tokens))

    def __len__(self) -> int:
        return len(self.tokens)


Score = Callable[[Tensor], dict[str, float]]
Anchors = Callable[[int, torch.Generator], dict[str, Tensor]]


@dataclass(frozen=True)
class TextSplits:
    """A text set as it was read or drawn.

    Attributes:
        vocabulary: what the ids mean.
        train, valid, test: the sequences, all of one width.
        source: from what.
        score: what the set knows about samples ``b t``, by name.
        anchors: ``n`` sequences ``n t`` from each source that a model is compared with, by name.
        facts: more to print beside results.
    """

    vocabulary: Vocabulary
    train: Sequences
    valid: Sequences
    test: Sequences
    source: str
    score: Score
    anchors: Anchors
    facts: Mapping[str, str] = field(default_factory=dict)


TEXT_SETS: Registry[Callable[..., TextSplits]] = Registry("text set")
