"""Text sets from files of one sentence a line: splits, vocabulary, and what can be said of samples.

The vocabulary is built on the training split alone. A set without a test file has a tenth of its lines held out for the
test, always the same ones; with or without one, a tenth of the lines that are left is for validation. A split that says
nothing new, such as a copy of the training file, is refused; what training and test share otherwise is said in the
facts.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from ...evaluation import Corpus, bleu, copied, distinct, novelty, self_bleu
from ...vocabulary import EOS, UNKNOWN, Vocabulary
from ..keyed_random import SPLIT, permutation
from ..storage import Folders
from .splits import TEXT_SETS, Sequences, TextSplits
from .tokenization import Sentences, build_vocabulary, encode, read_sentences

ORDERS = (2, 3, 4, 5)


def hold_out(sentences: Sentences) -> tuple[Sentences, Sentences]:
    """Take a tenth of the ten lines or more out, always the same ones: the rest and the lines taken."""
    n = len(sentences) // 10
    order = permutation(len(sentences), (SPLIT, len(sentences))).tolist()
    return sentences.rows(sorted(order[n:])), sentences.rows(sorted(order[:n]))


def overlap(train: Sentences, other: Sentences, remedy: str) -> int:
    """How many sentences of ``other`` are also in ``train``.

    Raises:
        ValueError: all of them are.
    """
    seen = set(map(tuple, train.tokens))
    again = sum(tuple(sentence) in seen for sentence in other.tokens)
    if again == len(other):
        raise ValueError(
            f"every line of {other.path} that is held out (from line {other.numbers[0]} on) is also in the training "
            f"text {train.path}; {remedy}"
        )
    return again


def text_splits(
    train: Sentences, test: Sentences | None, level: str, min_count: int, max_vocabulary: int | None
) -> TextSplits:
    """Split, number and score the sentences of one or two files.

    Raises:
        ValueError: too few sentences, or held-out ones that are all in training too.
    """
    if len(train) < (11 if test is None else 10):
        raise ValueError(
            f"{train.path} has text in only {len(train)} lines, the last of them line {train.numbers[-1]}; a tenth is "
            "held out for each of test and validation, so give at least 11 (beside a test file, 10)"
        )
    source = train.path.name
    if test is None:
        train, test = hold_out(train)
    else:
        source += f" and {test.path.name}"
    again = overlap(train, test, "give a test file of other sentences")
    train, valid = hold_out(train)
    overlap(train, valid, "remove the repeated lines, or give more text")
    vocabulary = build_vocabulary(train, level, min_count, max_vocabulary)
    rows, unknown = zip(*(encode(part, vocabulary) for part in (train, valid, test)), strict=True)
    width = 1 + max(len(row) for part in rows for row in part)
    learnt, chosen, held = (Sequences.ended(part, width, vocabulary) for part in rows)
    facts = {
        "level": f"{level}, {len(vocabulary):,} tokens, at most {width} in a sentence with its end",
        "unknown": f"{unknown[0]:.2%} of the training tokens, {unknown[2]:.2%} of the test tokens",
        "overlap": f"{again:,} of {len(test):,} test sentences are also in training or validation",
        "BLEU": f"mean over the samples, each against all {len(test):,} test sentences (Self-BLEU: against all other "
        f"samples); 0.1 matches where there is none",
    }
    scorer, anchor = partial(score, vocabulary, learnt, held), partial(anchors, learnt, chosen)
    return TextSplits(vocabulary, learnt, chosen, held, source, scorer, anchor, facts)


def score(vocabulary: Vocabulary, train: Sequences, test: Sequences, samples: Tensor) -> dict[str, float]:
    """How good and how varied samples ``b t`` are; the facts state the protocol.

    ``bleu_n`` against the test sentences (higher is better), ``self_bleu_n`` against each other (lower is more varied;
    it grows with the number of ``samples``, 10,000 in the literature), ``novelty_n`` the share of their n-grams that
    training does not have, ``distinct`` the share of different samples, ``copied`` the share of training sentences. For
    the last three an unknown word is a word like any other, the same one everywhere.
    """
    written, seen = (_corpus(part, vocabulary) for part in (Sequences.of(samples, vocabulary), train))
    # A word that the vocabulary does not hold is no match for a sample's <unk>.
    known = test.tokens.masked_fill(test.tokens == vocabulary.ids[UNKNOWN], len(vocabulary))
    references = Corpus(known.numpy(), _corpus(test, vocabulary).lengths)
    quality, sameness = bleu(written, references, max(ORDERS)), self_bleu(written, max(ORDERS))
    new = novelty(written, seen, max(ORDERS))
    return {
        **{f"bleu_{n}": quality[n] for n in ORDERS},
        **{f"self_bleu_{n}": sameness[n] for n in ORDERS},
        **{f"novelty_{n}": new[n] for n in ORDERS},
        "distinct": distinct(samples.numpy()),
        "copied": copied(written, seen),
        "samples": float(len(samples)),
    }


def _corpus(sequences: Sequences, vocabulary: Vocabulary) -> Corpus:
    """The sentences without their ends."""
    ended = (sequences.tokens == vocabulary.ids[EOS]).any(1)
    return Corpus(sequences.tokens.numpy(), (sequences.lengths - ended.long()).numpy())


def anchors(train: Sequences, valid: Sequences, n: int, generator: torch.Generator) -> dict[str, Tensor]:
    """Real sentences, as many as there are up to ``n``: what was learnt from, and what was not."""
    chosen = [part.tokens[torch.randperm(len(part), generator=generator)[:n]] for part in (train, valid)]
    return dict(zip(("training text", "held-out text"), chosen, strict=True))


@TEXT_SETS.register("text")
def text(
    folders: Folders,
    path: str | None = None,
    test_path: str | None = None,
    level: str = "word",
    min_count: int = 2,
    max_vocabulary: int | None = None,
    longest_line: int = 200,
) -> TextSplits:
    """Any file of one sentence a line.

    Raises:
        ValueError: no path is given.
    """
    if path is None:
        raise ValueError("name='text' needs a path: the UTF-8 file of one sentence a line")
    train = read_sentences(Path(path).expanduser(), level, longest_line)
    test = read_sentences(Path(test_path).expanduser(), level, longest_line) if test_path else None
    return text_splits(train, test, level, min_count, max_vocabulary)
