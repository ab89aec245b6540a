"""Sentences of a file as tokens, and as token ids. Errors are one line that names the file and the line number."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path

from ...vocabulary import EOS, UNKNOWN, Tokenization, Vocabulary
from .lines import read_lines, regular_file

# Bounds of a file, so that its sentences take less than 1 GiB of memory.
MAX_LINES = 1 << 20
MAX_TOKENS = 1 << 25  # in all lines
MAX_TYPES = 1 << 20  # different ones
MAX_STORED = 3 << 20  # bytes of a vocabulary in config.json, which has at most 4 MiB
MAX_UNKNOWN = 0.5  # share of unknown words in a split; with more, models would learn to write <unk>


@dataclass(frozen=True)
class Sentences:
    """Lines of a file that are not blank, as tokens, with their line numbers."""

    path: Path
    numbers: list[int]
    tokens: list[list[str]]
    tokenization: Tokenization

    @cached_property
    def counts(self) -> Counter[str]:
        """Number of occurrences of each token."""
        return Counter(chain.from_iterable(self.tokens))

    def select(self, rows: list[int]) -> Sentences:
        """Return these sentences only."""
        numbers, tokens = [self.numbers[row] for row in rows], [self.tokens[row] for row in rows]
        return Sentences(self.path, numbers, tokens, self.tokenization)

    def __len__(self) -> int:
        return len(self.tokens)


def read_sentences(path: Path, tokenization: Tokenization, longest_line: int, header: bool = False) -> Sentences:
    """Read a UTF-8 file of one sentence a line.

    Args:
        path: the file.
        tokenization: rule that splits a line.
        longest_line: most tokens in a line.
        header: whether the first line is a header and skipped.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is empty, has a line that is too long or contains ``<eos>``, or has too many lines or tokens;
            errors of ``regular_file`` and ``read_lines``.
    """
    path = regular_file(path)
    numbers: list[int] = []
    sentences: list[list[str]] = []
    types: dict[str, str] = {}  # one copy of each token
    total = 0
    for number, line in read_lines(path):
        if header and number == 1:
            continue
        if EOS in line:
            raise ValueError(f"{path} line {number} contains {EOS}, which is added to every line; remove it")
        tokens = [types.setdefault(token, token) for token in tokenization.split(line)]
        if len(tokens) > longest_line:
            raise ValueError(
                f"{path} line {number} has {len(tokens)} tokens ({tokenization.level} level), more than "
                f"longest_line={longest_line}; raise longest_line or split the line"
            )
        total += len(tokens)
        numbers.append(number)
        sentences.append(tokens)
        for found, most, what in (
            (len(numbers), MAX_LINES, "lines of text"),
            (total, MAX_TOKENS, "tokens"),
            (len(types), MAX_TYPES, "different tokens"),
        ):
            if found > most:
                raise ValueError(f"{path} has more than {most:,} {what} up to line {number}; give a part of it")
    if not sentences:
        raise ValueError(f"{path} has no text in it from line 1 on; give a file of one sentence a line")
    return Sentences(path, numbers, sentences, tokenization)


def build_vocabulary(train: Sentences, min_count: int, max_vocabulary: int | None) -> Vocabulary:
    """Build a vocabulary: ``<eos>``, ``<unk>``, then tokens by falling frequency, ties in alphabetical order.

    Args:
        train: training sentences.
        min_count: fewest occurrences; rarer tokens become ``<unk>``.
        max_vocabulary: most tokens, including the two special ones.

    Raises:
        ValueError: min_count < 1 or max_vocabulary < 3, or a vocabulary that is too large for a release.
    """
    if min_count < 1 or (max_vocabulary is not None and max_vocabulary < 3):
        raise ValueError(f"min_count must be >= 1 and max_vocabulary >= 3, got {min_count} and {max_vocabulary}")
    frequent = sorted((-count, token) for token, count in train.counts.items() if count >= min_count)
    known = [token for _, token in frequent if token != UNKNOWN][: max_vocabulary and max_vocabulary - 2]
    if sum(len(json.dumps(token)) + 10 for token in known) > MAX_STORED:  # each on a line of its own, indented
        raise ValueError(
            f"{train.path}: the {len(known):,} tokens of the vocabulary fill more than {MAX_STORED:,} bytes; raise "
            "min_count or set max_vocabulary"
        )
    return Vocabulary([EOS, UNKNOWN, *known], train.tokenization.level, train.tokenization.normal_form)


def encode(sentences: Sentences, vocabulary: Vocabulary) -> tuple[list[list[int]], float]:
    """Return the token ids of every sentence, and the share of unknown tokens.

    Raises:
        ValueError: more than half of the words are unknown.
    """
    unknown = vocabulary.ids[UNKNOWN]
    ids = [[vocabulary.ids.get(token, unknown) for token in sentence] for sentence in sentences.tokens]
    check_known(sentences, vocabulary)
    return ids, sum(row.count(unknown) for row in ids) / sum(map(len, ids))


def check_known(sentences: Sentences, vocabulary: Vocabulary) -> None:
    """Check that at most half of the words are unknown; where there are no words, half of the tokens.

    Punctuation does not count: text without spaces between words is a full stop after an unknown word.
    """
    words = {token: n for token, n in sentences.counts.items() if any(map(str.isalnum, token))} or sentences.counts
    missing = {token: n for token, n in words.items() if token == UNKNOWN or token not in vocabulary.ids}
    share = sum(missing.values()) / sum(words.values())
    if share > MAX_UNKNOWN:
        rows = zip(sentences.numbers, sentences.tokens, strict=True)
        line = next(number for number, row in rows if not missing.keys().isdisjoint(row))
        level = vocabulary.level
        spaces = "" if level == "character" else "use level=character for text without spaces between words, "
        raise ValueError(
            f"{sentences.path}: {share:.0%} of the tokens (punctuation aside, from line {line} on) are not among the "
            f"{len(vocabulary) - 2} known ones; {spaces}lower min_count, raise max_vocabulary, or give more or other "
            "text"
        )
