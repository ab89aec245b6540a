"""Conversion between text and token ids: data build a vocabulary, and a model keeps it in its configuration.

Ids ``0 .. len(vocabulary) - 1`` are the tokens of a sequence and the outputs of a model. Text has ``<eos>``, id 0. It
ends a sentence *and* pads the positions after it, so that a padded sentence is also a possible output of a model.
``<unk>``, id 1, stands for words that the training split lacks. Sequences of a fixed length have neither. A model's
first input is ``bos = len(vocabulary)``, one extra row of an embedding and never an output.

Text is split by one of these rules, which a vocabulary records as its ``level``. All of them read ``<unk>`` in a line
as the unknown token.

- ``lossless_word``: a word with its combining marks, joiners and hyphens; an apostrophe with the letters after it; or
  one character (grapheme cluster) of anything else. A token includes the space before it, and a line is read with a
  space before it. Decoding is concatenation, so ``decode(encode(line)) == line`` unless a token is unknown.
- ``word``: words of letters, digits and hyphens; an apostrophe with the letters after it; single punctuation marks.
  Spaces are lost and guessed in decoding: ``3.14`` becomes ``3. 14``. Combining marks are cut off.
- ``character``: every code point.

``bpe`` splits words into runs of bytes that training had often; see ``byte_pairs.py``. Nothing is unknown, so there is
no ``<unk>``, and ``decode(encode(line)) == line``, as for ``lossless_word`` without spaces at the ends of the line.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import regex
import torch
from torch import Tensor

from .byte_pairs import BytePairs, characters, join_pieces, split_pieces

EOS, UNKNOWN = "<eos>", "<unk>"
NORMAL_FORM: Final = "NFC"  # of new vocabularies: an accented letter is one token, however a file spells it

CHARACTER = re.compile(f"{UNKNOWN}|.", re.DOTALL)
WORD = re.compile(rf"{UNKNOWN}|'\w+|\w+(?:-\w+)*|[^\w\s]")  # "a man's x-ray." -> a, man, 's, x-ray, .
# "a man's x-ray." -> " a", " man", "'s", " x-ray", "."; \w of `regex`, not that of `re`, has marks and joiners in it.
# Flags are listed since \X, which finds them too, takes quadratic time in a row of them.
LOSSLESS_WORD = regex.compile(
    rf" ?(?:{UNKNOWN}|['\u2019]\w+|\w+(?:[-\u2010\u2011]\w+)*|\p{{Regional_Indicator}}{{2}}|(?! )\X)| ", regex.DOTALL
)


def join_words(words: Sequence[str]) -> str:
    """Join words to a line of text, in which ``WORD`` finds the same words again."""
    return re.sub(r" (?='\w|[.,;:!?])", "", " ".join(words))


def split_lossless(line: str) -> list[str]:
    """Split a line into tokens that include the space before them; spaces at its ends are dropped."""
    line = line.strip(" ")
    tokens = LOSSLESS_WORD.findall(f" {line}") if line else []
    return [token.removeprefix(" ") if token.endswith(UNKNOWN) else token for token in tokens]


def join_lossless(tokens: Sequence[str]) -> str:
    """Concatenate tokens that include the space before them."""
    return "".join(f" {token}" if token == UNKNOWN else token for token in tokens).removeprefix(" ")


class Rule(NamedTuple):
    """Functions that split a line into tokens, and join them."""

    split: Callable[[str], list[str]]
    join: Callable[[Sequence[str]], str]


RULES = {
    "lossless_word": Rule(split_lossless, join_lossless),
    "word": Rule(WORD.findall, join_words),
    "character": Rule(CHARACTER.findall, "".join),
}
BPE: Final = "bpe"
LEVELS = {**RULES, BPE: Rule(split_pieces, join_pieces)}


@dataclass(frozen=True)
class Tokenization:
    """A rule and a normal form: how a line of text becomes tokens.

    Args:
        level: ``lossless_word``, ``word``, ``character``, or ``bpe``, whose words a vocabulary splits further.
        normal_form: ``NFC``, Unicode's composed form, which lines are converted to; None leaves them as they are.

    Raises:
        ValueError: another level or normal form.
    """

    level: str = "word"
    normal_form: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.level, str) or self.level not in LEVELS:
            raise ValueError(f"level must be one of {', '.join(LEVELS)}, got {self.level!r}")
        if self.normal_form not in (None, NORMAL_FORM):
            raise ValueError(f"normal_form must be {NORMAL_FORM} or none, got {self.normal_form!r}")

    def split(self, line: str) -> list[str]:
        """Split a line of text into tokens."""
        return LEVELS[self.level].split(unicodedata.normalize(NORMAL_FORM, line) if self.normal_form else line)

    def join(self, tokens: Sequence[str]) -> str:
        """Join tokens to a line of text."""
        return LEVELS[self.level].join(tokens)


@dataclass(frozen=True)
class Vocabulary:
    """Tokens by id, and the conversion of lines of text.

    ``Vocabulary(**vocabulary.config())`` is an equal one; the configuration is plain JSON.

    Args:
        tokens: token of each id; of level ``bpe`` in the order in which they were learned.
        level, normal_form: see ``Tokenization``.

    Raises:
        ValueError: tokens that are not texts or not distinct; errors of ``Tokenization`` and ``BytePairs``.

    Example:
        >>> vocabulary = Vocabulary(["<eos>", "<unk>", "a", "man", "."])
        >>> vocabulary.encode("a man.")
        [2, 3, 4]
        >>> vocabulary.decode([2, 3, 4, 0, 0])
        'a man.'
    """

    tokens: list[str]
    level: str = "word"
    normal_form: str | None = None
    ids: dict[str, int] = field(init=False, repr=False, compare=False)
    tokenization: Tokenization = field(init=False, repr=False, compare=False)
    pairs: BytePairs | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "tokenization", Tokenization(self.level, self.normal_form))
        if isinstance(self.tokens, str) or not all(isinstance(token, str) for token in self.tokens):
            raise ValueError("tokens must be a list of texts")
        object.__setattr__(self, "ids", {token: number for number, token in enumerate(self.tokens)})
        if len(self.ids) < len(self.tokens):
            raise ValueError(f"tokens must be different, got {len(self.ids)} different ones of {len(self.tokens)}")
        pairs = BytePairs([token for token in self.tokens if token != EOS]) if self.level == BPE else None
        object.__setattr__(self, "pairs", pairs)

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def bos(self) -> int:
        """Id of the first input, which is not a token."""
        return len(self.tokens)

    @property
    def eos(self) -> int | None:
        """Id of EOS; None for sequences of a fixed length."""
        return self.ids.get(EOS)

    @property
    def pad(self) -> int:
        """Id of padding: EOS again."""
        return self.eos or 0

    @property
    def unk(self) -> int | None:
        """Id of unknown tokens; None if there is none."""
        return self.ids.get(UNKNOWN)

    def config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {"tokens": list(self.tokens), "level": self.level, "normal_form": self.normal_form}

    def split(self, line: str) -> list[str]:
        """Split a line of text into tokens, known or not."""
        tokens = self.tokenization.split(line)
        return tokens if self.pairs is None else [part for word in tokens for part in self.pairs.split(word)]

    def encode(self, line: str) -> list[int]:
        """Convert a line of text to ids, without EOS.

        Raises:
            ValueError: an unknown token in a vocabulary without ``<unk>``.
        """
        unknown = self.unk
        if unknown is None:
            self.check(line)
        return [self.ids.get(token, unknown or 0) for token in self.split(line)]

    def check(self, line: str) -> None:
        """Check that every token of a line is known; the ValueError names the first that is not."""
        for token in self.split(line):
            if token not in self.ids:
                raise ValueError(f"{token!r} is not one of the {len(self)} tokens of this vocabulary")
            if token == UNKNOWN:
                raise ValueError(f"{UNKNOWN} stands for every unknown word; write a known one")

    def decode(self, tokens: Sequence[int] | Tensor) -> str:
        """Convert ids ``t``, up to the first EOS, to text."""
        ids = tokens.tolist() if isinstance(tokens, Tensor) else list(tokens)
        if self.eos in ids:
            ids = ids[: ids.index(self.eos)]
        return self.tokenization.join([self.tokens[number] for number in ids])

    def characters(self) -> list[int] | None:
        """Return the characters of each token of level ``bpe``; their sum over a line is its length and 1 for its end.

        None for other levels.
        """
        if self.level != BPE:
            return None
        return [0 if token == EOS else characters(token) for token in self.tokens]  # the space before a line is its end

    def lengths(self, tokens: Tensor) -> Tensor:
        """Number of tokens of each sentence, its first EOS included: ``b t -> b``."""
        if self.eos is None:
            return torch.full(tokens.shape[:1], tokens.shape[1], device=tokens.device)
        ended = (tokens == self.eos).cumsum(1) > 0  # b t
        return ((~ended).sum(1) + 1).clamp(max=tokens.shape[1])


def read_vocabulary(vocabulary: Vocabulary | Mapping[str, Any]) -> Vocabulary:
    """Return a vocabulary from itself or from its ``config()``; ValueError for other keys."""
    if isinstance(vocabulary, Vocabulary):
        return vocabulary
    if not {"tokens"} <= set(vocabulary) <= {"tokens", "level", "normal_form"}:
        raise ValueError("vocabulary must have 'tokens', 'level' and 'normal_form', as Vocabulary.config() gives them")
    return Vocabulary(**vocabulary)
