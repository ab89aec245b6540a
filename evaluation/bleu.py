"""Sentence BLEU against many references (Papineni et al. 2002), and Self-BLEU (Zhu et al. 2018, Texygen).

BLEU-n of a hypothesis is the geometric mean of its clipped precisions of order 1 .. n times the brevity penalty, whose
reference length is the nearest one (of two, the shorter). A precision without matches counts as 0.1 matches (smoothing
1 of Chen & Cherry 2014), but a hypothesis without a known word scores 0. The corpus scores the mean over hypotheses.
Results equal those of NLTK's ``sentence_bleu`` with ``SmoothingFunction().method1``, but references are counted once.

Self-BLEU takes all other samples as references of a sample, never itself. Both scores grow with the number of
references, so compare them at equal numbers only. Axes: ``b`` hypotheses, ``n`` orders, ``l`` different lengths.
"""

from __future__ import annotations

import numpy as np

from .ngrams import Corpus, concatenate, counts, ngrams

EPSILON = 0.1  # matches of a precision without matches


def bleu(hypotheses: Corpus, references: Corpus, order: int) -> dict[int, float]:
    """Compute the mean BLEU-n of the hypotheses against all references, for n = 1 .. ``order``.

    Raises:
        ValueError: no hypothesis or no reference.
    """
    if len(hypotheses) == 0 or len(references) == 0:
        raise ValueError("BLEU needs at least one hypothesis and one reference")
    b = len(hypotheses)
    matches = []
    for numbers in ngrams(concatenate(hypotheses, references), order):
        limit = np.zeros(numbers.max(initial=0) + 1, np.int64)  # largest count of each n-gram in one reference
        _, gram, count = counts(numbers[b:])
        np.maximum.at(limit, gram, count)
        sentence, gram, count = counts(numbers[:b])
        matches.append(np.bincount(sentence, np.minimum(count, limit[gram]), minlength=b))
    lengths, frequency = np.unique(references.lengths, return_counts=True)
    nearest = _nearest_length(hypotheses.lengths, lengths, np.broadcast_to(frequency, (b, len(lengths))))
    return _mean_bleu(np.array(matches), hypotheses.lengths, nearest)


def self_bleu(samples: Corpus, order: int) -> dict[int, float]:
    """Compute the mean BLEU-n of every sample against all others, for n = 1 .. ``order``.

    Raises:
        ValueError: fewer than two samples.
    """
    if len(samples) < 2:
        raise ValueError(f"Self-BLEU needs at least two samples, got {len(samples)}")
    matches = []
    for numbers in ngrams(samples, order):
        sentence, gram, count = counts(numbers)
        limit = _largest_other_count(gram, count)
        matches.append(np.bincount(sentence, np.minimum(count, limit), minlength=len(samples)))
    lengths, own, frequency = np.unique(samples.lengths, return_inverse=True, return_counts=True)
    other_frequency = frequency - (np.arange(len(lengths)) == own[:, None])  # b l
    nearest = _nearest_length(samples.lengths, lengths, other_frequency)
    return _mean_bleu(np.array(matches), samples.lengths, nearest)


def _largest_other_count(gram: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Return for each entry the largest count of its n-gram among the other entries, 0 if there is none."""
    # Group entries by n-gram, with rising counts.
    order = np.lexsort((count, gram))
    last = np.append(gram[order][1:] != gram[order][:-1], True)[: len(gram)]  # the largest count of a group
    first = np.append(True, last[:-1])[: len(gram)]
    ends = np.flatnonzero(last)
    ranked = count[order]
    # The largest entry of a group is limited by the second largest, all others by the largest.
    second = np.where(first[ends], 0, ranked[ends - 1])
    group = np.cumsum(first) - 1
    limit = np.empty_like(count)
    limit[order] = np.where(last, second[group], ranked[ends][group])
    return limit


def _nearest_length(wanted: np.ndarray, lengths: np.ndarray, frequency: np.ndarray) -> np.ndarray:
    """Return the nearest of the sorted ``lengths`` ``l`` with frequency > 0 (``b l``) for each of ``wanted``, ``b``."""
    distance = np.where(frequency > 0, np.abs(lengths - wanted[:, None]), np.inf)
    return lengths[distance.argmin(1)]


def _mean_bleu(matches: np.ndarray, lengths: np.ndarray, nearest: np.ndarray) -> dict[int, float]:
    """Compute the mean BLEU-n from matches ``n b``, lengths ``b`` and reference lengths ``b``."""
    orders = np.arange(1, len(matches) + 1)[:, None]
    possible = np.maximum(lengths - orders + 1, 1)  # n b
    log_precision = np.log(np.where(matches == 0, EPSILON, matches) / possible)
    brevity = np.minimum(0.0, 1 - nearest / np.maximum(lengths, 1))
    scores = np.exp(log_precision.cumsum(0) / orders + brevity) * (matches[0] > 0)
    return {int(n): float(mean) for n, mean in zip(orders[:, 0], scores.mean(1), strict=True)}
