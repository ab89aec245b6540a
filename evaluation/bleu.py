"""BLEU of single sentences against many references (Papineni et al. 2002), and Self-BLEU (Zhu et al. 2018, Texygen).

BLEU-n of a hypothesis is the geometric mean of its clipped precisions of order 1 .. n times the brevity penalty for the
reference of the nearest length (of two, the shorter). A precision without any match counts as 0.1 matches (smoothing 1
of Chen & Cherry 2014), but a hypothesis without a known word scores 0. The corpus scores the mean over its hypotheses.
These are the numbers of NLTK's ``sentence_bleu`` with ``SmoothingFunction().method1``, in a fraction of the time: the
references are counted once.

Self-BLEU takes as references of a sample all the others and never itself. Both grow with the number of references, so
figures are compared at equal numbers only.
"""

from __future__ import annotations

import numpy as np

from .ngrams import Corpus, counts, ngrams, stack

EPSILON = 0.1


def bleu(hypotheses: Corpus, references: Corpus, order: int) -> dict[int, float]:
    """Mean BLEU-n of the hypotheses against all references, for n = 1 .. ``order``.

    Raises:
        ValueError: no hypothesis or no reference.
    """
    if len(hypotheses) == 0 or len(references) == 0:
        raise ValueError("BLEU needs at least one hypothesis and one reference")
    b = len(hypotheses)
    matches = []
    for numbers in ngrams(stack(hypotheses, references), order):
        most = np.zeros(numbers.max(initial=0) + 1, np.int64)
        _, gram, many = counts(numbers[b:])
        np.maximum.at(most, gram, many)
        sentence, gram, many = counts(numbers[:b])
        matches.append(np.bincount(sentence, np.minimum(many, most[gram]), minlength=b))
    lengths, often = np.unique(references.lengths, return_counts=True)
    nearest = _nearest(hypotheses.lengths, lengths, np.broadcast_to(often, (b, len(lengths))))
    return _means(np.array(matches), hypotheses.lengths, nearest)


def self_bleu(samples: Corpus, order: int) -> dict[int, float]:
    """Mean BLEU-n of every sample against all others, for n = 1 .. ``order``.

    Raises:
        ValueError: fewer than two samples.
    """
    if len(samples) < 2:
        raise ValueError(f"Self-BLEU needs at least two samples, got {len(samples)}")
    matches = []
    for numbers in ngrams(samples, order):
        sentence, gram, many = counts(numbers)
        limit = _most_of_others(gram, many)
        matches.append(np.bincount(sentence, np.minimum(many, limit), minlength=len(samples)))
    lengths, own, often = np.unique(samples.lengths, return_inverse=True, return_counts=True)
    others = often - (np.arange(len(lengths)) == own[:, None])  # b lengths
    return _means(np.array(matches), samples.lengths, _nearest(samples.lengths, lengths, others))


def _most_of_others(gram: np.ndarray, many: np.ndarray) -> np.ndarray:
    """For each entry the largest count of its n-gram among the other entries, 0 if there is none."""
    order = np.lexsort((many, gram))
    last = np.append(gram[order][1:] != gram[order][:-1], True)[: len(gram)]  # the entry with the most of its n-gram
    first = np.append(True, last[:-1])[: len(gram)]
    ends = np.flatnonzero(last)
    ranked = many[order]
    second = np.where(first[ends], 0, ranked[ends - 1])
    group = np.cumsum(first) - 1
    limit = np.empty_like(many)
    limit[order] = np.where(last, second[group], ranked[ends][group])
    return limit


def _nearest(wanted: np.ndarray, lengths: np.ndarray, often: np.ndarray) -> np.ndarray:
    """The length nearest to each of ``wanted`` (``b``) among the sorted ``lengths`` that it has ``often`` (``b l``)."""
    distance = np.where(often > 0, np.abs(lengths - wanted[:, None]), np.inf)
    return lengths[distance.argmin(1)]


def _means(matches: np.ndarray, lengths: np.ndarray, nearest: np.ndarray) -> dict[int, float]:
    """Mean BLEU-n from matches ``n b``, lengths ``b`` and reference lengths ``b``."""
    orders = np.arange(1, len(matches) + 1)[:, None]
    possible = np.maximum(lengths - orders + 1, 1)  # n b
    log_precision = np.log(np.where(matches == 0, EPSILON, matches) / possible)
    brevity = np.minimum(0.0, 1 - nearest / np.maximum(lengths, 1))
    scores = np.exp(log_precision.cumsum(0) / orders + brevity) * (matches[0] > 0)
    return {int(n): float(mean) for n, mean in zip(orders[:, 0], scores.mean(1), strict=True)}
