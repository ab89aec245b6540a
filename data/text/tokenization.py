"""Files of sentences, one a line, as token ids. Every fault is one line that names the file and the line number."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from ...vocabulary import EOS, UNKNOWN, Vocabulary, splitter

TOO_MUCH = 0.5  # unknown tokens of a file: above this, models would learn to write <unk>


@dataclass(frozen=True)
class Sentences:
    """The lines of a file that are not blank, as tokens, with their numbers in the file."""

    path: Path
    numbers: list[int]
    tokens: list[list[str]]

    def rows(self, chosen: list[int]) -> Sentences:
        """Only these."""
        return Sentences(self.path, [self.numbers[row] for row in chosen], [self.tokens[row] for row in chosen])

    def __len__(self) -> int:
        return len(self.tokens)


def read_sentences(path: Path, level: str, longest_line: int, header: bool = False) -> Sentences:
    """Read a UTF-8 file of one sentence a line.

    Args:
        path: the file.
        level: of its tokens, ``word`` or ``character``.
        longest_line: tokens that a line may have.
        header: whether the first line is no sentence.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is empty, not UTF-8, or has a line that is too long.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} is no file; give the path of a UTF-8 text of one sentence a line")
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        number, byte = content.count(b"\n", 0, error.start) + 1, content[error.start]
        raise ValueError(f"{path} line {number} has the byte 0x{byte:02x}, no UTF-8; convert the file") from None
    split = splitter(level)
    numbers, sentences = [], []
    for number, line in enumerate(text.split("\n"), start=1):
        tokens = split(line.strip())
        if len(tokens) > longest_line:
            raise ValueError(
                f"{path} line {number} has {len(tokens)} tokens ({level} level), more than "
                f"longest_line={longest_line}; raise longest_line or split the line"
            )
        if tokens and not (header and number == 1):
            numbers.append(number)
            sentences.append(tokens)
    if not sentences:
        raise ValueError(f"{path} has no text in it from line 1 on; give a file of one sentence a line")
    return Sentences(path, numbers, sentences)


def build_vocabulary(train: Sentences, level: str, min_count: int, max_vocabulary: int | None) -> Vocabulary:
    """``<eos>``, ``<unk>``, then the tokens that occur ``min_count`` times, the most frequent first.

    Args:
        train: the training sentences; nothing else is looked at.
        level: of their tokens.
        min_count: rarer tokens become ``<unk>``.
        max_vocabulary: tokens in all, the two special ones among them.

    Raises:
        ValueError: limits that cannot be.
    """
    if min_count < 1 or (max_vocabulary is not None and max_vocabulary < 3):
        raise ValueError(f"min_count must be >= 1 and max_vocabulary >= 3, got {min_count} and {max_vocabulary}")
    counts = Counter(token for sentence in train.tokens for token in sentence)
    frequent = sorted((-many, token) for token, many in counts.items() if many >= min_count)
    known = [token for _, token in frequent][: max_vocabulary and max_vocabulary - 2]
    return Vocabulary([EOS, UNKNOWN, *known], level)


def encode(sentences: Sentences, vocabulary: Vocabulary) -> tuple[list[list[int]], float]:
    """Token ids of every sentence, and the share of unknown tokens.

    Raises:
        ValueError: more than half of the tokens are unknown.
    """
    unknown = vocabulary.ids[UNKNOWN]
    ids = [[vocabulary.ids.get(token, unknown) for token in sentence] for sentence in sentences.tokens]
    share = sum(row.count(unknown) for row in ids) / sum(map(len, ids))
    if share > TOO_MUCH:
        line = next(number for number, row in zip(sentences.numbers, ids, strict=True) if unknown in row)
        raise ValueError(
            f"{sentences.path}: {share:.0%} of the tokens (from line {line} on) are not among the "
            f"{len(vocabulary) - 2} known ones; lower min_count, raise max_vocabulary, or give more or other text"
        )
    return ids, share
