"""Text sets from lines of text: splits, vocabulary, classes.

The vocabulary is that of the training split. Without test sentences a tenth is the test split, the same lines every
time. Without validation sentences a tenth of the remaining lines is the validation split. A held-out split all of whose
sentences are also in training is an error; a smaller overlap is stated in the metadata.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from ...vocabulary import BPE, UNKNOWN, Vocabulary
from ..keyed_random import SPLIT, permutation
from .labels import classes_of, describe, encode_labels
from .scores import reference_samples, score
from .splits import Sequences, TextSplits
from .tokenization import Sentences, encode

FILE_OPTIONS = ("vocabulary_path", "level", "min_count", "max_vocabulary", "longest_line")  # of TextData, for lines
JOINED = "lines_per_sequence"  # and this one, where a sequence is not a line by its meaning
MAX_CELLS = 1 << 25  # tokens and padding of all splits, of 8 bytes each


def held_out_rows(n: int) -> tuple[list[int], list[int]]:
    """Draw a tenth of at least ten rows, the same ones every time: the remaining rows and those held out."""
    order = permutation(n, (SPLIT, n)).tolist()
    return sorted(order[n // 10 :]), sorted(order[: n // 10])


def hold_out(sentences: Sentences) -> tuple[Sentences, Sentences]:
    """Split off a tenth of at least ten sentences, the same ones every time: the remaining and those held out."""
    remaining, held_out = held_out_rows(len(sentences))
    return sentences.select(remaining), sentences.select(held_out)


def overlap(train: Sentences, held_out: Sentences, fix: str, valid: Sentences | None = None) -> int:
    """Count the sentences of ``held_out`` that are also in ``train`` or ``valid``.

    Raises:
        ValueError: all of them are in ``train``; the message ends in ``fix``.
    """
    known = set(map(tuple, train.tokens))
    new = [tuple(sentence) for sentence in held_out.tokens if tuple(sentence) not in known]
    if not new:
        raise ValueError(
            f"every line of {held_out.source} that is held out (from line {held_out.numbers[0]} on) is also in the "
            f"training text {train.source}; {fix}"
        )
    validated = set(map(tuple, valid.tokens)) if valid is not None else set()
    return len(held_out) - sum(sentence not in validated for sentence in new)


def text_splits(
    train: Sentences,
    test: Sentences | None,
    vocabulary_of: Callable[[Sentences], Vocabulary],
    valid: Sentences | None = None,
    facts: Mapping[str, str] | None = None,
) -> TextSplits:
    """Split and encode sentences.

    Args:
        train: sentences of training, and of the splits that are not given.
        test, valid: sentences of these splits.
        vocabulary_of: builds the vocabulary of training sentences.
        facts: further metadata.

    Raises:
        ValueError: too few sentences, or too many of the longest one's length; a held-out split whose sentences are
            all in training too; errors of ``vocabulary_of``, ``encode`` and ``encode_labels``.
    """
    fewest = 11 if test is None and valid is None else 10
    if len(train) < fewest and None in (test, valid):
        raise ValueError(
            f"{train.source} has text in only {len(train)} lines, the last of them line {train.numbers[-1]}; a tenth "
            "is held out for each of test and validation, so give at least 11 (10 with a test file)"
        )
    # Splits. The overlap counts validation as training.
    classes = classes_of(train)
    source = train.name
    if test is None:
        train, test = hold_out(train)
    elif test.source != train.source:
        source += f" and {test.name}"
    shared = overlap(train, test, "give a test file of other sentences", valid)
    if valid is None:
        train, valid = hold_out(train)
    overlap(train, valid, "remove the repeated lines, or give more text")
    parts = train, valid, test
    # Vocabulary and token ids. The longest sentence pads every other, so that one long line can make a large array.
    vocabulary = vocabulary_of(train)
    ids, unknown = zip(*(encode(part, vocabulary) for part in parts), strict=True)
    width = 1 + max(len(sentence) for part in ids for sentence in part)
    if (cells := width * sum(map(len, parts))) > MAX_CELLS:
        place = next(
            part.place(row)
            for part, sentences in zip(parts, ids, strict=True)
            for row, sentence in enumerate(sentences)
            if len(sentence) == width - 1
        )
        raise ValueError(
            f"all sentences padded to the {width - 1} tokens of {place} are {cells:,} tokens, more than {MAX_CELLS:,}; "
            "split the longest lines, or give fewer"
        )
    train_ids, valid_ids, test_ids = (
        Sequences.from_sentences(rows, width, vocabulary, encode_labels(part, classes))
        for rows, part in zip(ids, parts, strict=True)
    )
    marked = sum(part.counts[UNKNOWN] for part in parts) if vocabulary.level != BPE else 0
    metadata = {
        "level": f"{vocabulary.level}, {len(vocabulary):,} tokens, at most {width} in a sentence with its EOS"
        + (f"; normal form {vocabulary.normal_form}" if vocabulary.normal_form else ""),
        "unknown": f"{unknown[0]:.2%} of the training tokens, {unknown[2]:.2%} of the test tokens"
        + (f"; {marked:,} of all are {UNKNOWN} in the text itself" if marked else ""),
        **({"labels": describe(classes)} if classes else {}),
        "overlap": f"{shared:,} of {len(test):,} test sentences are also in training or validation",
        "BLEU": f"mean over the samples, each against all {len(test):,} test sentences (Self-BLEU: against all other "
        "samples); an order without matches counts as 0.1 matches",
        **(facts or {}),
    }
    return TextSplits(
        vocabulary,
        train_ids,
        valid_ids,
        test_ids,
        source,
        partial(score, vocabulary, train_ids, test_ids),
        partial(reference_samples, train_ids, valid_ids),
        metadata,
        len(classes),
        tuple(classes),
    )
