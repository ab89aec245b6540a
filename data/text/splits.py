"""The form that every text set is read into, and the registry of their readers.

A new text set is one file with one function, decorated with ``text_set``, that returns ``TextSplits``; and its import
in ``datamodule.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from ...interfaces import Batch
from ...registry import Registry
from ...vocabulary import Vocabulary


@dataclass(frozen=True)
class Sequences:
    """Padded sequences: token ids ``b t``, lengths ``b`` and classes ``b``, all int64; None without classes."""

    tokens: Tensor
    lengths: Tensor
    labels: Tensor | None = None

    @classmethod
    def from_tokens(cls, tokens: Tensor, vocabulary: Vocabulary) -> Sequences:
        """Compute the lengths of token ids ``b t``."""
        return cls(tokens, vocabulary.lengths(tokens))

    @classmethod
    def from_sentences(
        cls, sentences: Iterable[Sequence[int]], width: int, vocabulary: Vocabulary, labels: Tensor | None = None
    ) -> Sequences:
        """End each sentence with EOS and pad it to ``width``."""
        sentences = list(sentences)
        tokens = np.full((len(sentences), width), vocabulary.pad, np.int64)
        for row, sentence in zip(tokens, sentences, strict=True):
            row[: len(sentence)] = sentence
        return cls(torch.from_numpy(tokens), vocabulary.lengths(torch.from_numpy(tokens)), labels)

    def tensors(self) -> Batch:
        """Return all sequences by batch key."""
        labels = {} if self.labels is None else {"label": self.labels}
        return {"tokens": self.tokens, "length": self.lengths, **labels}

    def __len__(self) -> int:
        return len(self.tokens)


@dataclass(frozen=True)
class TextSplits:
    """A text set as it was read or drawn.

    Attributes:
        vocabulary: the tokens.
        train, valid, test: sequences, all of one width t.
        source: where they come from.
        score: metrics of padded samples ``b t``, by name.
        reference_samples: up to ``n`` sequences ``n t`` from each source that a model is compared with, by name.
        metadata: further facts printed with results.
        classes: number of classes; 0 for sequences without labels.
        class_names: name of each class, in their order; empty where they have none.
        label_metrics: metrics of padded samples ``b t`` that labels ``b`` were asked for, by name; None if there are
            none.
    """

    vocabulary: Vocabulary
    train: Sequences
    valid: Sequences
    test: Sequences
    source: str
    score: Callable[[Tensor], dict[str, float]]
    reference_samples: Callable[[int, torch.Generator], dict[str, Tensor]]
    metadata: Mapping[str, str] = field(default_factory=dict)
    classes: int = 0
    class_names: tuple[str, ...] = ()
    label_metrics: Callable[[Tensor, Tensor], dict[str, float]] | None = None


@dataclass(frozen=True)
class TextSet:
    """Reader of a text set.

    Attributes:
        read: ``read(folders, **options)`` reads, draws or downloads the sequences.
        options: optional arguments of ``TextData`` that ``read`` takes.
    """

    read: Callable[..., TextSplits]
    options: tuple[str, ...] = ()


TEXT_SETS: Registry[TextSet] = Registry("text set", context=("folders",))


def text_set(name: str, *options: str) -> Callable[[Callable[..., TextSplits]], Callable[..., TextSplits]]:
    """Decorator that registers a reader under ``name``, with the optional arguments of ``TextData`` that it takes."""

    def add(read: Callable[..., TextSplits]) -> Callable[..., TextSplits]:
        TEXT_SETS.register(name)(TextSet(read, options))
        return read

    return add
