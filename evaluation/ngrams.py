"""N-grams of whole corpora as integers, so that counting and comparing them are array operations.

Axes: ``b`` sentences, ``t`` tokens.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Corpus:
    """Sentences: token ids >= 0, ``b t``, of which the first ``lengths`` (``b``) of each row count."""

    tokens: np.ndarray
    lengths: np.ndarray

    def __len__(self) -> int:
        return len(self.tokens)


def concatenate(first: Corpus, second: Corpus) -> Corpus:
    """Join two corpora; the narrower one is padded."""
    width = max(first.tokens.shape[1], second.tokens.shape[1])
    padded = [np.pad(part.tokens, ((0, 0), (0, width - part.tokens.shape[1]))) for part in (first, second)]
    return Corpus(np.concatenate(padded), np.concatenate([first.lengths, second.lengths]))


def ngrams(corpus: Corpus, order: int) -> list[np.ndarray]:
    """Number the n-grams, equal n-grams equally: arrays ``b t-n+1`` for n = 1 .. ``order``.

    Numbers are 0 .. size - 1, and -1 at positions after a sentence's last n-gram. Orders longer than the sentences are
    wide give empty arrays.
    """
    width = corpus.tokens.shape[1]
    numbers = [_number(corpus.tokens, np.arange(width) < corpus.lengths[:, None])]
    for n in range(2, order + 1):
        # An n-gram is the (n-1)-gram before its last token, and that token.
        prefix, last = numbers[-1][:, : max(0, width - n + 1)], numbers[0][:, n - 1 :]
        numbers.append(_number(prefix * (numbers[0].max(initial=0) + 1) + last, last >= 0))
    return numbers


def _number(values: np.ndarray, valid: np.ndarray) -> np.ndarray:
    numbers = np.full(values.shape, -1)
    numbers[valid] = np.unique(values[valid], return_inverse=True)[1]
    return numbers


def counts(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Count the n-grams of each sentence: sentence, n-gram and count, one entry per pair that occurs."""
    size = numbers.max(initial=0) + 1
    sentence, _ = np.nonzero(numbers >= 0)
    pairs, count = np.unique(sentence * size + numbers[numbers >= 0], return_counts=True)
    return pairs // size, pairs % size, count


def novelty(samples: Corpus, training: Corpus, order: int) -> dict[int, float]:
    """Compute the share of the samples' n-grams that are not in ``training``, for n = 1 .. ``order``.

    Every occurrence counts.
    """
    shares = {}
    for n, numbers in enumerate(ngrams(concatenate(samples, training), order), start=1):
        sampled, trained = numbers[: len(samples)], numbers[len(samples) :]
        known = np.isin(sampled[sampled >= 0], trained)
        shares[n] = float(1 - known.mean()) if known.size else 0.0
    return shares


def copied(samples: Corpus, training: Corpus) -> float:
    """Compute the share of samples that are sentences of ``training``."""
    both = concatenate(samples, training)
    sentences = np.where(np.arange(both.tokens.shape[1]) < both.lengths[:, None], both.tokens, -1)
    numbers = np.unique(sentences, axis=0, return_inverse=True)[1].ravel()
    return float(np.isin(numbers[: len(samples)], numbers[len(samples) :]).mean())


def distinct(tokens: np.ndarray) -> float:
    """Compute the share of different rows of ``b t``."""
    return len(np.unique(tokens, axis=0)) / len(tokens)
