"""The one place where text and token ids meet: data build a vocabulary, and a model keeps it in its configuration.

The ids ``0 .. len(vocabulary) - 1`` are what a sequence is made of and what a model can emit. Text has ``<eos>``, id 0,
which ends a sentence *and* fills the places behind it, so that a padded sentence is one that a model could have written
itself; ``<unk>``, id 1, is every word that the training split does not hold. Sequences of a fixed length have neither.
What a model is fed before its first token is ``bos = len(vocabulary)``: one more row of an embedding, never an output.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

EOS, UNKNOWN = "<eos>", "<unk>"
WORD = re.compile(r"'\w+|\w+(?:-\w+)*|[^\w\s]")  # "a man's x-ray." -> a, man, 's, x-ray, .


def join_words(words: Sequence[str]) -> str:
    """A line of text; ``WORD`` finds the same words in it again."""
    return re.sub(r" (?='\w|[.,;:!?])", "", " ".join(words))


LEVELS: dict[str, tuple[Callable[[str], list[str]], Callable[[Sequence[str]], str]]] = {
    "word": (WORD.findall, join_words),
    "character": (list, "".join),
}


def splitter(level: str) -> Callable[[str], list[str]]:
    """What takes a line of text apart into tokens.

    Raises:
        ValueError: a level other than ``word`` and ``character``.
    """
    if level not in LEVELS:
        raise ValueError(f"level must be one of {', '.join(LEVELS)}, got '{level}'")
    return LEVELS[level][0]


@dataclass(frozen=True)
class Vocabulary:
    """Tokens by id, and how lines of text are taken apart and put together.

    ``Vocabulary(**vocabulary.config())`` is the same again; the configuration is plain and can be JSON.

    Args:
        tokens: the token of each id.
        level: ``word`` or ``character``.

    Raises:
        ValueError: tokens that are no texts or there twice, or another level.
    """

    tokens: list[str]
    level: str = "word"
    ids: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        splitter(self.level)
        if isinstance(self.tokens, str) or not all(isinstance(token, str) for token in self.tokens):
            raise ValueError("tokens must be a list of texts")
        object.__setattr__(self, "ids", {token: number for number, token in enumerate(self.tokens)})
        if len(self.ids) < len(self.tokens):
            raise ValueError(f"tokens must be different, got {len(self.ids)} different ones of {len(self.tokens)}")

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def bos(self) -> int:
        """What comes before the first token; no token itself."""
        return len(self.tokens)

    @property
    def eos(self) -> int | None:
        """The end of a sentence; None for sequences of a fixed length."""
        return self.ids.get(EOS)

    @property
    def pad(self) -> int:
        """What fills the places from a sequence's length on: the end again."""
        return self.eos or 0

    @property
    def unk(self) -> int | None:
        """Every unknown token; None where there is none."""
        return self.ids.get(UNKNOWN)

    def config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"tokens": list(self.tokens), "level": self.level}

    def encode(self, line: str) -> list[int]:
        """The ids of a line of text, without an end.

        Raises:
            ValueError: an unknown token, where there is no ``<unk>``.
        """
        if self.unk is None:
            self.check(line)
        return [self.ids.get(token, self.unk or 0) for token in splitter(self.level)(line)]

    def check(self, line: str) -> None:
        """ValueError naming the first token of a line that is not known."""
        for token in splitter(self.level)(line):
            if token not in self.ids:
                raise ValueError(f"'{token}' is not one of the {len(self)} tokens of this vocabulary")

    def decode(self, tokens: Sequence[int] | Tensor) -> str:
        """The text of ids ``t``, up to the first end."""
        ids = tokens.tolist() if isinstance(tokens, Tensor) else list(tokens)
        if self.eos in ids:
            ids = ids[: ids.index(self.eos)]
        return LEVELS[self.level][1]([self.tokens[number] for number in ids])

    def lengths(self, tokens: Tensor) -> Tensor:
        """How many tokens of each sequence count, its first end among them: ``b t -> b``."""
        if self.eos is None:
            return torch.full(tokens.shape[:1], tokens.shape[1], device=tokens.device)
        ended = (tokens == self.eos).cumsum(1) > 0  # b t
        return ((~ended).sum(1) + 1).clamp(max=tokens.shape[1])
