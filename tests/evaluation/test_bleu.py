"""BLEU and Self-BLEU equal those of NLTK; in Self-BLEU a hypothesis is never its own reference."""

import time

import numpy as np
import pytest
from gumbelzoo.evaluation import Corpus, bleu, self_bleu
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

RNG = np.random.default_rng(0)
ORDER = 5


def corpus(n, words, longest, shortest=1):
    """Random sentences that share many n-grams: few words, unequal frequencies, some sentences twice."""
    frequency = 1 / np.arange(1, words + 1)
    tokens = RNG.choice(words, (n, longest), p=frequency / frequency.sum())
    lengths = RNG.integers(shortest, longest + 1, n)
    half = n // 4
    tokens[:half], lengths[:half] = tokens[n - half :], lengths[n - half :]
    tokens[np.arange(longest) >= lengths[:, None]] = RNG.integers(words)  # padding is ignored
    return Corpus(tokens, lengths)


def lists(sentences):
    return [row[:length].tolist() for row, length in zip(sentences.tokens, sentences.lengths, strict=True)]


def reference(hypotheses, references_of):
    smooth = SmoothingFunction().method1
    return {
        n: np.mean([sentence_bleu(references_of(i), h, (1 / n,) * n, smooth) for i, h in enumerate(hypotheses)])
        for n in range(1, ORDER + 1)
    }


@pytest.mark.parametrize(("words", "shortest"), [(3, 1), (12, 1), (12, 6), (200, 1), (12, 0)])
def test_bleu_equals_that_of_nltk(words, shortest):
    hypotheses, references = corpus(30, words, 9, shortest), corpus(40, words + 2, 12)
    expected = reference(lists(hypotheses), lambda _: lists(references))
    assert bleu(hypotheses, references, ORDER) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("n", "words", "shortest"), [(40, 3, 1), (40, 12, 1), (40, 12, 0), (40, 300, 6), (2, 3, 1)])
def test_self_bleu_equals_that_of_nltk(n, words, shortest):
    samples = corpus(n, words, 9, shortest)
    rows = lists(samples)
    expected = reference(rows, lambda i: rows[:i] + rows[i + 1 :])
    assert self_bleu(samples, ORDER) == pytest.approx(expected, abs=1e-12)


def test_sample_is_not_its_own_reference():
    alone = Corpus(np.arange(20).reshape(4, 5), np.full(4, 5))
    assert self_bleu(alone, 2) == {1: 0.0, 2: 0.0}
    twice = Corpus(np.repeat(alone.tokens, 2, 0), np.full(8, 5))
    assert self_bleu(twice, 5) == pytest.approx(dict.fromkeys(range(1, 6), 1.0))


def test_order_and_padding_change_nothing():
    hypotheses, references = corpus(20, 6, 8), corpus(30, 6, 8)
    wide = Corpus(np.pad(hypotheses.tokens, ((0, 0), (0, 7)), constant_values=3), hypotheses.lengths)
    reversed_ = Corpus(references.tokens[::-1], references.lengths[::-1])
    assert bleu(wide, reversed_, ORDER) == pytest.approx(bleu(hypotheses, references, ORDER), abs=1e-12)
    order = RNG.permutation(20)
    shuffled = Corpus(hypotheses.tokens[order], hypotheses.lengths[order])
    assert self_bleu(shuffled, ORDER) == pytest.approx(self_bleu(wide, ORDER), abs=1e-12)


def test_too_few_sentences_raise():
    one, none = corpus(1, 3, 4), Corpus(np.zeros((0, 4), np.int64), np.zeros(0, np.int64))
    with pytest.raises(ValueError, match="at least two samples, got 1"):
        self_bleu(one, 2)
    for pair in ((none, one), (one, none)):
        with pytest.raises(ValueError, match="one hypothesis and one reference"):
            bleu(*pair, 2)


def test_bleu_is_fast():
    """A thousand hypotheses against ten thousand references take seconds."""
    hypotheses, references = corpus(1000, 5000, 25), corpus(10_000, 5000, 25)
    start = time.process_time()
    bleu(hypotheses, references, ORDER)
    self_bleu(hypotheses, ORDER)
    assert time.process_time() - start < 10
