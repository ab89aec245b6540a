"""Sentences as tokens, and as token ids. Errors are one line that names the file and the line number."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from pathlib import Path

from ...vocabulary import BPE, EOS, UNKNOWN, Tokenization, Vocabulary
from .bpe import learn_tokens
from .documents import Line

# Bounds of a file, so that its sentences take less than 1 GiB of memory.
MAX_LINES = 1 << 20
MAX_TOKENS = 1 << 25  # in all lines
MAX_TYPES = 1 << 20  # different ones
MAX_STORED = 3 << 20  # bytes of a vocabulary in config.json, which has at most 4 MiB
MAX_UNKNOWN = 0.5  # share of unknown words in a split; with more, models would learn to write <unk>
BPE_TOKENS = 4096  # of a vocabulary of level bpe, unless another number is asked for
FEWEST = 257  # of them: EOS, and one for each byte


@dataclass(frozen=True)
class Sentences:
    """Lines that are not blank, as tokens (of level ``bpe`` as words).

    Attributes:
        source: file, folder or other place that they come from, as messages name it.
        files, numbers, lasts: file of each, number of its line, and of its last one if several are joined.
        tokens: tokens of each.
        tokenization: rule that split them.
        longest_line: most tokens in each.
        labels: label of each; None without labels.
    """

    source: str
    files: list[str]
    numbers: list[int]
    lasts: list[int | None]
    tokens: list[list[str]]
    tokenization: Tokenization
    longest_line: int
    labels: list[str] | None = None

    @cached_property
    def counts(self) -> Counter[str]:
        """Number of occurrences of each token."""
        return Counter(chain.from_iterable(self.tokens))

    @property
    def name(self) -> str:
        """Last part of the source."""
        return Path(self.source).name

    def place(self, row: int) -> str:
        """Return the file and line numbers of a sentence."""
        return self.line(row).place

    def line(self, row: int) -> Line:
        """Return where a sentence is from, without its text."""
        return Line(self.files[row], self.numbers[row], "", last=self.lasts[row])

    def select(self, rows: list[int]) -> Sentences:
        """Return these sentences only."""
        return replace(
            self,
            files=[self.files[row] for row in rows],
            numbers=[self.numbers[row] for row in rows],
            lasts=[self.lasts[row] for row in rows],
            tokens=[self.tokens[row] for row in rows],
            labels=None if self.labels is None else [self.labels[row] for row in rows],
        )

    def __len__(self) -> int:
        return len(self.tokens)


def split_sentences(lines: Iterable[Line], source: str, tokenization: Tokenization, longest_line: int) -> Sentences:
    """Split lines into tokens.

    Raises:
        ValueError: there are none; one is too long or contains ``<eos>``; there are too many lines or tokens.
    """
    files: list[str] = []
    numbers: list[int] = []
    lasts: list[int | None] = []
    sentences: list[list[str]] = []
    labels: list[str] = []
    types: dict[str, str] = {}  # one copy of each token
    total = 0
    for line in lines:
        if EOS in line.text:
            raise ValueError(f"{line.place} contains {EOS}, which is added to every line; remove it")
        tokens = [types.setdefault(token, token) for token in tokenization.split(line.text)]
        check_length(len(tokens), longest_line, line, tokenization.level)
        total += len(tokens)
        files.append(line.file)
        numbers.append(line.number)
        lasts.append(line.last)
        sentences.append(tokens)
        if line.label is not None:
            labels.append(types.setdefault(line.label, line.label))
        for found, most, what in (
            (len(numbers), MAX_LINES, "lines of text"),
            (total, MAX_TOKENS, "tokens"),
            (len(types), MAX_TYPES, "different tokens"),
        ):
            if found > most:
                raise ValueError(f"{source} has more than {most:,} {what} up to line {line.number}; give a part of it")
    if not sentences:
        raise ValueError(f"{source} has no text in it from line 1 on; give a file of one sentence a line")
    return Sentences(source, files, numbers, lasts, sentences, tokenization, longest_line, labels or None)


def check_length(tokens: int, longest_line: int, line: Line, level: str) -> None:
    """Check that a line, or lines that were joined, have at most ``longest_line`` tokens, else ValueError."""
    if tokens > longest_line:
        shorter = "give shorter lines" if line.last is None else "lower lines_per_sequence"
        raise ValueError(
            f"{line.place} has {tokens} tokens ({level} level), more than longest_line={longest_line}; raise "
            f"longest_line or {shorter}"
        )


def build_vocabulary(
    train: Sentences, min_count: int = 2, max_vocabulary: int | None = None, given: Sequence[str] | None = None
) -> Vocabulary:
    """Build a vocabulary: ``<eos>``, ``<unk>``, then tokens by falling frequency, ties in alphabetical order.

    Of level ``bpe``: ``<eos>``, the bytes, then the pairs that were merged, in that order.

    Args:
        train: training sentences.
        min_count: fewest occurrences; rarer tokens become ``<unk>``, rarer pairs are not merged.
        max_vocabulary: most tokens, including the special ones.
        given: tokens in the place of those of training.

    Raises:
        ValueError: a number out of range; a vocabulary that is too large for a release.
    """
    rule = train.tokenization
    fewest = FEWEST if rule.level == BPE else 3
    if min_count < 1 or (max_vocabulary is not None and max_vocabulary < fewest):
        raise ValueError(f"min_count must be >= 1 and max_vocabulary >= {fewest}, got {min_count} and {max_vocabulary}")
    special = [EOS] if rule.level == BPE else [EOS, UNKNOWN]
    if given is not None:
        known = [token for token in given if token not in special]
    elif rule.level == BPE:
        known = learn_tokens(train.tokens, (max_vocabulary or BPE_TOKENS) - 1, min_count)
    else:
        frequent = sorted((-count, token) for token, count in train.counts.items() if count >= min_count)
        known = [token for _, token in frequent if token != UNKNOWN][: max_vocabulary and max_vocabulary - 2]
    if sum(len(json.dumps(token)) + 10 for token in known) > MAX_STORED:  # each on a line of its own, indented
        raise ValueError(
            f"{train.source}: the {len(known):,} tokens of the vocabulary fill more than {MAX_STORED:,} bytes; raise "
            "min_count or set max_vocabulary"
        )
    return Vocabulary([*special, *known], rule.level, rule.normal_form)


def encode(sentences: Sentences, vocabulary: Vocabulary) -> tuple[list[list[int]], float]:
    """Return the token ids of every sentence, and the share of unknown tokens.

    Raises:
        ValueError: more than half of the words are unknown; a line that is too long once its words are split.
    """
    if vocabulary.pairs is not None:
        words = {word: [vocabulary.ids[part] for part in vocabulary.pairs.split(word)] for word in sentences.counts}
        ids = [[number for word in sentence for number in words[word]] for sentence in sentences.tokens]
        for row, sentence in enumerate(ids):
            check_length(len(sentence), sentences.longest_line, sentences.line(row), vocabulary.level)
        return ids, 0.0
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
        row = next(row for row, tokens in enumerate(sentences.tokens) if not missing.keys().isdisjoint(tokens))
        level = vocabulary.level
        spaces = "" if level == "character" else "use level=character for text without spaces between words, "
        raise ValueError(
            f"{sentences.source}: {share:.0%} of the tokens (punctuation aside, from line {sentences.numbers[row]} on) "
            f"are not among the {len(vocabulary) - 2} known ones; {spaces}lower min_count, raise max_vocabulary, or "
            "give more or other text"
        )
