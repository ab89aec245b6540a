"""The grammar against its rules, its draws against its probabilities, its metrics on known samples."""

from itertools import product

import pytest
import torch
from gumbelzoo.data import TextData
from gumbelzoo.data.text.grammar import MAX_OPERATORS, VOCABULARY, draw, language, parses, reference_samples, score


def derived(longest):
    """Strings of the five rules, by applying them until there are no new ones."""
    strings = {"x"}
    while True:
        new = {f"{a}{op}{b}" for a in strings for b in strings for op in "+-*/" if len(a) + len(b) < longest}
        if new <= strings:
            return strings
        strings |= new


def tokens(*strings):
    rows = torch.zeros(len(strings), 12, dtype=torch.int64)
    for row, text in zip(rows, strings, strict=True):
        row[: len(text)] = torch.tensor(VOCABULARY.encode(text))
    return rows


def test_language_is_what_the_rules_derive():
    whole = language()
    assert len(whole) == 1365
    assert sum(whole.values()) == pytest.approx(1)
    assert {text for text in whole if len(text) <= 7} == derived(7)
    assert max(map(len, whole)) == 11


def test_parser_accepts_exactly_the_language():
    strings = {"".join(letters) for n in range(7) for letters in product("x+-*/", repeat=n)}
    assert {text for text in strings if parses(text)} == derived(6)
    assert parses("-".join("x" * 9))
    for text in ("", "x+x\n", "x +x", "y", "x" * 12):
        assert not parses(text)


def test_draws_have_the_stated_probabilities():
    n = 40_000
    samples = reference_samples(n, torch.Generator().manual_seed(0))["grammar"]
    rows, counts = samples.unique(dim=0, return_counts=True)
    drawn = dict(zip(map(VOCABULARY.decode, rows), counts.tolist(), strict=True))
    assert drawn.keys() <= language().keys()
    found = {text: drawn.get(text, 0) for text in language()}
    expected = {text: n * probability for text, probability in language().items()}
    statistic = sum((found[text] - count) ** 2 / count for text, count in expected.items())
    degrees = len(expected) - 1
    assert abs(statistic - degrees) < 4 * (2 * degrees) ** 0.5
    assert (samples[:, -1] == VOCABULARY.eos).all()


def test_draw_at_the_extremes_of_the_noise():
    ends = draw(torch.tensor([[1e-12] * (1 + MAX_OPERATORS), [1 - 1e-12] * (1 + MAX_OPERATORS)], dtype=torch.float64))
    assert [VOCABULARY.decode(row) for row in ends] == ["x", "x/x/x/x/x/x"]


def test_score_of_known_samples():
    metrics = score(tokens("x", "x", "x+x", "x+", "", "x" * 12, "x-x*x/x", "+x"))
    assert metrics["valid"] == 4 / 8
    assert metrics["distinct_valid"] == 3
    assert metrics["distinct"] == 7 / 8
    short = {"x": abs(2 / 8 - 1 / 6), "x+x": 1 / 8 - 1 / 24, "x-x*x/x": 1 / 8 - 1 / 384}
    others = 1 - 1 / 6 - 1 / 24 - 1 / 384
    assert metrics["total_variation"] == pytest.approx((sum(short.values()) + others + 4 / 8) / 2)


def test_total_variation_is_the_same_in_every_run():
    """Its last bits do not depend on the order of a set of strings, which Python randomizes."""
    data = TextData("grammar")
    total_variation = data.score(data.splits.valid.tokens[:200])["total_variation"]
    assert total_variation.hex() == "0x1.f47e4b17e4b18p-2"


def test_score_of_collapse_and_of_the_truth():
    data = TextData("grammar")
    truth = data.score(data.reference_samples(10_000, torch.Generator().manual_seed(0))["grammar"])
    assert truth["valid"] == 1
    assert 1140 < truth["distinct_valid"] < 1200  # expected 1,164, standard deviation about 13
    assert truth["total_variation"] < 0.13
    collapsed = data.score(tokens("x*x").repeat(10_000, 1))
    assert collapsed["valid"] == 1
    assert collapsed["distinct_valid"] == 1
    assert collapsed["total_variation"] == pytest.approx(1 - 1 / 24)


def test_splits():
    data = TextData("grammar")
    assert [len(part) for part in (data.splits.train, data.splits.valid, data.splits.test)] == [5000, 1000, 1000]
    assert data.max_length == 12
    assert "1,365 strings" in data.metadata()["language"]
    first = [VOCABULARY.decode(row) for row in data.splits.train.tokens[:3]]
    assert first == ["x/x/x+x", "x", "x-x"]
    assert not torch.equal(data.splits.valid.tokens, data.splits.test.tokens)
