"""Byte-pair encoding of text: words are split into known runs of bytes, so that no text is unknown.

Sennrich et al. 2016 (arXiv:1508.07909), on the bytes of UTF-8 (Radford et al. 2019, section 2.2). A token is written in
the alphabet of GPT-2, a printable letter for each byte: ``Ġman`` is " man". The order of the tokens is that in which
they were learned, and says all: of two neighbours whose concatenation is a token, the earliest such token is merged
first. There is no other state, and only learning needs a library; see ``data/text/bpe.py``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import regex

CACHED = 1 << 16  # words whose tokens are kept
LONGEST = 64  # characters of a piece; the time of merging is quadratic in them

# "a man's x-ray" -> " a", " man", "'s", " x", "-", "ray"; \w of `regex`, not that of `re`, has marks and joiners in it.
PIECE = regex.compile(r"['\u2019]\w+| ?\w+| ?[^\w ]+| ")


def _letters() -> list[str]:
    """Letter of each byte: itself if it is a visible character of Latin-1, else one of those from U+0100 on."""
    visible = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in visible]
    return [chr(byte) if byte in visible else chr(0x100 + others.index(byte)) for byte in range(256)]


LETTERS = _letters()
TO_LETTERS = dict(enumerate(LETTERS))
TO_BYTES = {ord(letter): byte for byte, letter in enumerate(LETTERS)}


def split_pieces(line: str) -> list[str]:
    """Split a line into words that include the space before them, as letters; spaces at its ends are dropped.

    Raises:
        ValueError: half a character, which no encoding has.
    """
    line = line.strip(" ")
    try:
        line.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(f"the text has half a character, U+{ord(line[error.start]):04X}; remove it") from None
    words = PIECE.findall(f" {line}") if line else []
    parts = (word[first : first + LONGEST] for word in words for first in range(0, len(word), LONGEST))
    return [part.encode("utf-8").decode("latin-1").translate(TO_LETTERS) for part in parts]


def join_pieces(pieces: Iterable[str]) -> str:
    """Concatenate words or tokens, in letters, to a line; bytes that are no UTF-8 become U+FFFD."""
    text = "".join(pieces).translate(TO_BYTES).encode("latin-1")
    return text.decode("utf-8", errors="replace").removeprefix(" ")


class BytePairs:
    """Split of words into tokens.

    Args:
        tokens: in the order in which they were learned, the letter of each byte among them.

    Raises:
        ValueError: a token of other letters, or a byte without a token.

    Example:
        >>> pairs = BytePairs([*LETTERS, "an", "man", "Ġman"])
        >>> pairs.split("Ġmany")
        ['Ġman', 'y']
    """

    def __init__(self, tokens: Sequence[str]) -> None:
        letters = set(LETTERS)
        if missing := letters.difference(tokens):
            raise ValueError(
                f"a vocabulary of level bpe has a token for each of the 256 bytes, this lacks {len(missing)}"
            )
        if foreign := [token for token in tokens if not token or not letters.issuperset(token)]:
            raise ValueError(f"{foreign[0][:40]!r} is no token of level bpe, which are written in letters for bytes")
        self.ranks = {token: rank for rank, token in enumerate(tokens)}
        self.known: dict[str, list[str]] = {}

    def split(self, word: str) -> list[str]:
        """Return the tokens of a word of ``split_pieces``."""
        if word not in self.known:
            if len(self.known) == CACHED:
                self.known.clear()
            self.known[word] = self._merge(word)
        return self.known[word]

    def _merge(self, word: str) -> list[str]:
        """Merge the letters of a word until no two neighbours make a token."""
        never = len(self.ranks)
        parts = list(word)
        ranks = [self.ranks.get(first + second, never) for first, second in pairwise(parts)]
        while ranks and (best := min(ranks)) < never:
            i = ranks.index(best)
            parts[i : i + 2] = [parts[i] + parts[i + 1]]
            del ranks[i]
            for j in (i - 1, i):
                if 0 <= j < len(ranks):
                    ranks[j] = self.ranks.get(parts[j] + parts[j + 1], never)
        return parts


def characters(token: str) -> int:
    """Number of characters that begin in a token: its bytes but those that continue a character."""
    return sum(not 0x80 <= TO_BYTES[ord(letter)] < 0xC0 for letter in token)
