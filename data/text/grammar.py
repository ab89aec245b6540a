"""Arithmetic strings, S -> x | S+S | S-S | S*S | S/S, at most 12 characters (Kusner & Hernandez-Lobato 2016,
arXiv:1611.04051): a language small enough to enumerate, so that samples can be compared with its whole distribution.

A string with k operators has 2k + 1 characters, and each choice of operators is one string. There are
1 + 4 + 16 + 64 + 256 + 1024 = 1,365 strings of at most 12 characters. The paper does not give their probabilities. Here
k is uniform in 0 .. 5, and so is every operator. (Fixed probabilities of the five rules, with long strings rejected,
would make at least 64% of the strings the single letter x.)
"""

from __future__ import annotations

import math
import re
from itertools import product

import torch
from torch import Tensor

from ...vocabulary import EOS, Vocabulary
from ..keyed_random import GRAMMAR_TEXT, uniform
from ..storage import Folders
from .splits import Sequences, TextSplits, text_set

LETTER, OPERATORS, CHARACTERS = "x", "+-*/", 12
MAX_OPERATORS = (CHARACTERS - 1) // 2
SIZES = 5_000, 1_000, 1_000
VOCABULARY = Vocabulary([EOS, LETTER, *OPERATORS], "character")
SENTENCE = re.compile(f"{LETTER}(?:[{re.escape(OPERATORS)}]{LETTER})*")


def parses(text: str) -> bool:
    """Return whether S derives ``text``: exactly the strings that alternate letters and operators."""
    return SENTENCE.fullmatch(text) is not None


def language() -> dict[str, float]:
    """Return every string and its probability."""
    return {
        LETTER + "".join(operator + LETTER for operator in operators): 1 / ((MAX_OPERATORS + 1) * len(OPERATORS) ** k)
        for k in range(MAX_OPERATORS + 1)
        for operators in product(OPERATORS, repeat=k)
    }


def draw(noise: Tensor) -> Tensor:
    """Turn noise uniform in (0, 1) into strings, ``b 1+MAX_OPERATORS -> b CHARACTERS``.

    The first number of a row decides how many operators there are, the others which.
    """
    k = (noise[:, :1] * (MAX_OPERATORS + 1)).long()  # b 1
    operators = (noise[:, 1:] * len(OPERATORS)).long() + VOCABULARY.ids[OPERATORS[0]]  # b MAX_OPERATORS
    tokens = torch.full((len(noise), CHARACTERS), VOCABULARY.ids[LETTER])
    tokens[:, 1:-1:2] = operators
    return tokens.masked_fill(torch.arange(CHARACTERS) > 2 * k, VOCABULARY.pad)


def score(samples: Tensor) -> dict[str, float]:
    """Compare padded samples ``b t`` with the grammar.

    - ``valid``: share of samples that parse.
    - ``distinct_valid``: number of different strings among the valid ones.
    - ``distinct``: share of different strings among all.
    - ``total_variation``: half the sum of |frequency - probability| over all strings. It is 0 for the distribution
      itself, but more for a finite number of draws from it; see ``reference_samples``.
    """
    rows, counts = samples.unique(dim=0, return_counts=True)
    frequencies = dict(zip(map(VOCABULARY.decode, rows), counts.tolist(), strict=True))
    valid = {text: count for text, count in frequencies.items() if parses(text)}
    probabilities = language()
    shares = {text: count / len(samples) for text, count in frequencies.items()}
    gaps = (abs(shares.get(text, 0.0) - probabilities.get(text, 0.0)) for text in shares.keys() | probabilities.keys())
    return {
        "valid": sum(valid.values()) / len(samples),
        "distinct_valid": float(len(valid)),
        "distinct": len(rows) / len(samples),
        "total_variation": math.fsum(gaps) / 2,
    }


def reference_samples(n: int, generator: torch.Generator) -> dict[str, Tensor]:
    """Draw from the grammar."""
    return {"grammar": draw(torch.rand(n, 1 + MAX_OPERATORS, dtype=torch.float64, generator=generator))}


@text_set("grammar")
def grammar(folders: Folders) -> TextSplits:
    """Draw 5,000 strings for training, 1,000 for validation and 1,000 for test, independently."""
    train, valid, test = (
        Sequences.from_tokens(draw(uniform((n, 1 + MAX_OPERATORS), (GRAMMAR_TEXT, split))), VOCABULARY)
        for split, n in enumerate(SIZES)
    )
    metadata = {
        "language": f"{len(language()):,} strings of up to {CHARACTERS} characters; number of operators and operators "
        "uniform",
        "overlap": "the splits are independent draws from few strings, and share most of them",
    }
    return TextSplits(VOCABULARY, train, valid, test, "drawn", score, reference_samples, metadata)
