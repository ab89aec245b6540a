"""Sentences of a user as token ids. Axes: ``b`` batch, ``t`` time."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ....vocabulary import Vocabulary


def encode_sentences(vocabulary: Vocabulary, max_length: int, lines: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Return ids ``b t``, ended and padded with EOS, and lengths ``b``; a word that is not known is ``<unk>``.

    Args:
        vocabulary: of the model.
        max_length: longest sentence in tokens, EOS included.
        lines: text, one sentence each.

    Raises:
        ValueError: no list of texts, or an empty one; a sentence that is too long, a text of another length where all
            have the same, or an unknown token in a vocabulary without ``<unk>``.
    """
    if not isinstance(lines, (list, tuple)) or not lines or not all(isinstance(line, str) for line in lines):
        raise ValueError("give a list of sentences, such as ['a man sits.']")
    ids = [vocabulary.encode(line) for line in lines]
    ended = vocabulary.eos is not None
    for line, row in zip(lines, ids, strict=True):
        if len(row) + ended > max_length or (not ended and len(row) != max_length):
            limit = f"at most {max_length - 1}" if ended else f"{max_length}"
            raise ValueError(f"{line[:40]!r} has {len(row)} tokens, and this model's sentences have {limit}")
    width = max(map(len, ids)) + ended
    tokens = torch.tensor([row + [vocabulary.pad] * (width - len(row)) for row in ids], dtype=torch.int64)
    return tokens, vocabulary.lengths(tokens)
