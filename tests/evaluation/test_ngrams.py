"""N-grams as integers against Python's counters."""

from collections import Counter

import numpy as np
import pytest
from gumbelzoo.evaluation import Corpus, copied, distinct, novelty
from gumbelzoo.evaluation.ngrams import counts, ngrams

RNG = np.random.default_rng(1)


def corpus(n, words, width):
    return Corpus(RNG.integers(0, words, (n, width)), RNG.integers(0, width + 1, n))


def python_ngrams(sentences, order):
    rows = [row[:length].tolist() for row, length in zip(sentences.tokens, sentences.lengths, strict=True)]
    return [[tuple(row[i : i + order]) for i in range(len(row) - order + 1)] for row in rows]


def test_equal_numbers_mean_equal_ngrams():
    sentences = corpus(50, 4, 6)
    for order, numbers in enumerate(ngrams(sentences, 8), start=1):
        assert numbers.shape == (50, max(0, 7 - order))
        names = {}
        for row, expected in zip(numbers, python_ngrams(sentences, order), strict=True):
            assert (row >= 0).sum() == len(expected)
            assert (row[: len(expected)] >= 0).all()
            for number, gram in zip(row, expected, strict=False):
                assert names.setdefault(number, gram) == gram
        assert len(set(names.values())) == len(names)


def test_counts_equal_those_of_a_counter():
    sentences = corpus(50, 3, 9)
    for order, numbers in enumerate(ngrams(sentences, 3), start=1):
        found = Counter(dict(zip(zip(*counts(numbers)[:2], strict=True), counts(numbers)[2].tolist(), strict=True)))
        expected = [Counter(grams) for grams in python_ngrams(sentences, order)]
        for row, counter in enumerate(expected):
            assert sorted(count for (sentence, _), count in found.items() if sentence == row) == sorted(
                counter.values()
            )


def test_novelty_counts_every_occurrence():
    samples, training = corpus(30, 6, 7), corpus(30, 6, 9)
    for order, share in novelty(samples, training, 4).items():
        known = {gram for row in python_ngrams(training, order) for gram in row}
        sampled = [gram for row in python_ngrams(samples, order) for gram in row]
        assert share == pytest.approx(np.mean([gram not in known for gram in sampled]))
    assert novelty(samples, samples, 2) == {1: 0.0, 2: 0.0}
    assert novelty(Corpus(samples.tokens + 10, samples.lengths), samples, 2) == {1: 1.0, 2: 1.0}


def test_novelty_without_ngrams_is_zero():
    assert novelty(Corpus(np.ones((3, 2), np.int64), np.ones(3, np.int64)), corpus(3, 2, 4), 3)[2] == 0.0


def test_distinct_is_a_share_of_rows():
    assert distinct(np.array([[1, 2], [1, 2], [2, 1], [1, 1]])) == 0.75


def test_copied_ignores_padding():
    training = Corpus(np.array([[1, 2, 3], [4, 4, 4]]), np.array([2, 3]))
    samples = Corpus(np.array([[1, 2, 9, 9], [1, 2, 3, 9], [4, 4, 4, 0], [4, 4, 0, 0]]), np.array([2, 3, 3, 2]))
    assert copied(samples, training) == 0.5
