"""How lines of text become token ids: the rule that splits them, and the vocabulary, learned or given."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...ranges import check_sizes
from ...vocabulary import Tokenization, Vocabulary
from .documents import Line, join_lines
from .lines import regular_file
from .tokenization import MAX_STORED, Sentences, build_vocabulary, split_sentences


@dataclass(frozen=True)
class Rules:
    """Arguments of ``TextData`` that are the same for every kind of text.

    Args:
        level: tokenization, ``lossless_word``, ``word``, ``character`` or ``bpe``.
        min_count: a token (of level ``bpe`` a pair) that training has less often is unknown.
        max_vocabulary: most tokens in the vocabulary, the special ones included.
        longest_line: most tokens in a sequence.
        lines_per_sequence: consecutive lines in each.
        vocabulary_path: file of one token a line, in the place of the tokens of training.
        vocabulary: tokens in the place of such a file.
        normal_form: of the text.
    """

    level: str = "lossless_word"
    min_count: int = 2
    max_vocabulary: int | None = None
    longest_line: int = 200
    lines_per_sequence: int = 1
    vocabulary_path: str | None = None
    vocabulary: Sequence[str] | None = None
    normal_form: str | None = None

    def __post_init__(self) -> None:
        check_sizes(lines_per_sequence=self.lines_per_sequence)

    @property
    def tokenization(self) -> Tokenization:
        """Rule that splits a line."""
        return Tokenization(self.level, self.normal_form)

    def sentences(self, lines: Iterable[Line], source: str) -> Sentences:
        """Join lines, and split them into tokens; errors are those of ``join_lines`` and ``split_sentences``."""
        joined = join_lines(lines, self.lines_per_sequence)
        return split_sentences(joined, source, self.tokenization, self.longest_line)

    def vocabulary_of(self, train: Sentences) -> Vocabulary:
        """Build the vocabulary; errors are those of ``build_vocabulary`` and ``read_tokens``."""
        return build_vocabulary(train, self.min_count, self.max_vocabulary, self.tokens())

    def tokens(self) -> Sequence[str] | None:
        """Return the tokens that are given; None if they are those of training."""
        return read_tokens(Path(self.vocabulary_path)) if self.vocabulary_path else self.vocabulary


def read_tokens(path: Path) -> list[str]:
    """Read a vocabulary of one token a line; spaces at its beginning are a part of it.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is too large, not UTF-8, empty, or has an empty line or a token twice.
    """
    path = regular_file(path)
    if (size := path.stat().st_size) > MAX_STORED:
        raise ValueError(f"{path} has {size:,} bytes, more than {MAX_STORED:,}; give a vocabulary of fewer tokens")
    try:
        tokens = path.read_bytes().decode("utf-8-sig").removesuffix("\n").split("\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 at byte {error.start}; give a file of one token a line") from None
    found: dict[str, int] = {}
    for number, line in enumerate(tokens, 1):
        token = line.removesuffix("\r")
        if not token:
            raise ValueError(f"{path} line {number} is empty; give a file of one token a line")
        if token in found:
            raise ValueError(f"{path} line {number} has the token of line {found[token]} again; remove it")
        found[token] = number
    return list(found)
