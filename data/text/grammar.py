"""Arithmetic strings, S -> x | S+S | S-S | S*S | S/S, at most 12 characters (Kusner & Hernandez-Lobato 2016,
arXiv:1611.04051): a language small enough to list, so that samples can be held to the whole distribution.

With k operators a string is 2k + 1 characters, each choice of operators is one string of the language, and there are
1 + 4 + 16 + 64 + 256 + 1024 = 1,365 of at most 12 characters. The paper does not say how often it drew each. Here k is
uniform in 0 .. 5 and so is every operator. (Fixed probabilities for the five rules, with long strings thrown away, will
not do: whatever they are, at least 64% of the strings are then the one letter x.)
"""

from __future__ import annotations

import re
from itertools import product

import torch
from torch import Tensor

from ...vocabulary import EOS, Vocabulary
from ..keyed_random import GRAMMAR_TEXT, uniform
from ..storage import Folders
from .splits import TEXT_SETS, Sequences, TextSplits

LETTER, OPERATORS, CHARACTERS = "x", "+-*/", 12
MOST = (CHARACTERS - 1) // 2  # operators
SIZES = 5_000, 1_000, 1_000
VOCABULARY = Vocabulary([EOS, LETTER, *OPERATORS], "character")
SENTENCE = re.compile(f"{LETTER}(?:[{re.escape(OPERATORS)}]{LETTER})*")


def parses(text: str) -> bool:
    """Whether S derives ``text``: every such string alternates letters and operators, and the converse holds."""
    return SENTENCE.fullmatch(text) is not None


def language() -> dict[str, float]:
    """Every string and its probability."""
    return {
        LETTER + "".join(operator + LETTER for operator in operators): 1 / ((MOST + 1) * len(OPERATORS) ** k)
        for k in range(MOST + 1)
        for operators in product(OPERATORS, repeat=k)
    }


def draw(noise: Tensor) -> Tensor:
    """Strings from noise uniform in (0, 1), ``b 1+MOST -> b CHARACTERS``: the number of operators, then each one."""
    many = (noise[:, :1] * (MOST + 1)).long()  # b 1
    operators = (noise[:, 1:] * len(OPERATORS)).long() + VOCABULARY.ids[OPERATORS[0]]  # b MOST
    tokens = torch.full((len(noise), CHARACTERS), VOCABULARY.ids[LETTER])
    tokens[:, 1:-1:2] = operators
    return tokens.masked_fill(torch.arange(CHARACTERS) > 2 * many, VOCABULARY.pad)


def score(samples: Tensor) -> dict[str, float]:
    """How near samples ``b t``, padded, come to the grammar.

    ``valid`` is the share that parses, ``distinct_valid`` the number of different strings among these, ``distinct`` the
    share of different strings among all, ``total_variation`` half the sum of |frequency - probability| over strings.
    It is 0 for the grammar itself, but a finite number of its own draws has more: see the anchor.
    """
    rows, frequency = samples.unique(dim=0, return_counts=True)
    frequencies = dict(zip(map(VOCABULARY.decode, rows), frequency.tolist(), strict=True))
    valid = {text: many for text, many in frequencies.items() if parses(text)}
    truth = language()
    shares = {text: many / len(samples) for text, many in frequencies.items()}
    gaps = (abs(shares.get(text, 0.0) - truth.get(text, 0.0)) for text in shares.keys() | truth.keys())
    return {
        "valid": sum(valid.values()) / len(samples),
        "distinct_valid": float(len(valid)),
        "distinct": len(rows) / len(samples),
        "total_variation": sum(gaps) / 2,
    }


def anchors(n: int, generator: torch.Generator) -> dict[str, Tensor]:
    """Fresh draws of the grammar."""
    return {"grammar": draw(torch.rand(n, 1 + MOST, dtype=torch.float64, generator=generator))}


@TEXT_SETS.register("grammar")
def grammar(folders: Folders) -> TextSplits:
    """5,000 strings for training, 1,000 for validation and 1,000 for the test, drawn independently."""
    train, valid, test = (
        Sequences.of(draw(uniform((n, 1 + MOST), (GRAMMAR_TEXT, split))), VOCABULARY) for split, n in enumerate(SIZES)
    )
    law = f"{len(language()):,} strings of up to {CHARACTERS} characters; number of operators and operators uniform"
    facts = {"language": law, "overlap": "the splits are independent draws of few strings, and share most of them"}
    return TextSplits(VOCABULARY, train, valid, test, "drawn", score, anchors, facts)
