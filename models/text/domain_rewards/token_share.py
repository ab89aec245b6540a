"""The share of a sentence's words that are among given ones."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .base import DOMAIN_REWARDS, DomainReward

WORD = re.compile(r"\w[\w'-]*")  # without the punctuation around it


@DOMAIN_REWARDS.register("token_share")
class TokenShare(DomainReward):
    """Share of given words in a sentence, or of given characters where a sentence is written without spaces.

    Its trivial optimum is a sentence of nothing else, so it shows what an objective does to a language model.

    Args:
        tokens: words without the punctuation around them, or single characters.
        characters: count characters, spaces excluded, in the place of words.

    Raises:
        ValueError: no tokens, a token with a space, or one that is no word.
    """

    def __init__(self, tokens: Sequence[str], characters: bool = False) -> None:
        super().__init__()
        if isinstance(tokens, str) or not tokens or any(len(token.split()) != 1 for token in tokens):
            raise ValueError(f"tokens must be a list of words without spaces, such as [man, woman], got {tokens!r}")
        if characters and max(map(len, tokens)) > 1:
            raise ValueError(f"characters=true counts single characters, got the tokens {list(tokens)}")
        if not characters and (lost := [token for token in tokens if not WORD.fullmatch(token)]):
            raise ValueError(f"words are counted without the punctuation around them, so {lost} would never be found")
        self.tokens, self.characters = frozenset(tokens), characters

    def score(self, sentence: str) -> float:
        """Return the share; 0 of an empty sentence."""
        found = list("".join(sentence.split())) if self.characters else WORD.findall(sentence)
        return sum(word in self.tokens for word in found) / len(found) if found else 0.0
