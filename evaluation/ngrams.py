"""N-grams of whole corpora as integers, so that counting and comparing them is array work.

Axes: ``b`` sentences, ``t`` tokens. A corpus is a table of token ids with a length for every row.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Corpus:
    """Sentences: ids >= 0, ``b t``, of which the first ``lengths`` (``b``) of each row count."""

    tokens: np.ndarray
    lengths: np.ndarray

    def rows(self, chosen: slice) -> Corpus:
        """Only these sentences."""
        return Corpus(self.tokens[chosen], self.lengths[chosen])

    def __len__(self) -> int:
        return len(self.tokens)


def stack(first: Corpus, second: Corpus) -> Corpus:
    """Both corpora, one below the other; the narrower one is padded."""
    width = max(first.tokens.shape[1], second.tokens.shape[1])
    padded = [np.pad(part.tokens, ((0, 0), (0, width - part.tokens.shape[1]))) for part in (first, second)]
    return Corpus(np.concatenate(padded), np.concatenate([first.lengths, second.lengths]))


def ngrams(corpus: Corpus, order: int) -> list[np.ndarray]:
    """A number for every n-gram, the same for the same n-gram: arrays ``b t-n+1`` for n = 1 .. ``order``.

    Numbers are 0 .. size - 1 where an n-gram is, and -1 behind a sentence's last one. Orders longer than the table is
    wide are empty.
    """
    width = corpus.tokens.shape[1]
    found = [_numbered(corpus.tokens, np.arange(width) < corpus.lengths[:, None])]
    for n in range(2, order + 1):
        before, last = found[-1][:, : max(0, width - n + 1)], found[0][:, n - 1 :]
        # An n-gram is the (n-1)-gram before it and its last token.
        found.append(_numbered(before * (found[0].max(initial=0) + 1) + last, last >= 0))
    return found


def _numbered(values: np.ndarray, valid: np.ndarray) -> np.ndarray:
    numbers = np.full(values.shape, -1)
    numbers[valid] = np.unique(values[valid], return_inverse=True)[1]
    return numbers


def counts(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How often each sentence has each n-gram: sentence, n-gram and count, one entry per pair that occurs."""
    size = numbers.max(initial=0) + 1
    sentence, _ = np.nonzero(numbers >= 0)
    pairs, many = np.unique(sentence * size + numbers[numbers >= 0], return_counts=True)
    return pairs // size, pairs % size, many


def novelty(samples: Corpus, seen: Corpus, order: int) -> dict[int, float]:
    """The share of the samples' n-grams, every occurrence counted, that ``seen`` does not have, for n = 1 .. order."""
    shares = {}
    for n, numbers in enumerate(ngrams(stack(samples, seen), order), start=1):
        ours, theirs = numbers[: len(samples)], numbers[len(samples) :]
        known = np.isin(ours[ours >= 0], theirs)
        shares[n] = float(1 - known.mean()) if known.size else 0.0
    return shares


def copied(samples: Corpus, seen: Corpus) -> float:
    """The share of samples that are sentences of ``seen``."""
    both = stack(samples, seen)
    written = np.where(np.arange(both.tokens.shape[1]) < both.lengths[:, None], both.tokens, -1)
    numbers = np.unique(written, axis=0, return_inverse=True)[1].ravel()
    return float(np.isin(numbers[: len(samples)], numbers[len(samples) :]).mean())


def distinct(tokens: np.ndarray) -> float:
    """The share of different rows among the rows of ``b t``."""
    return len(np.unique(tokens, axis=0)) / len(tokens)
