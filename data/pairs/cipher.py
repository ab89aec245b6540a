"""Enciphered strings with known alignments: letters change places by a hidden permutation, then by a hidden alphabet.

A source has 4 to 9 of 16 letters. There is one permutation of the places for each length, and one alphabet for all.
One letter in ten is replaced by any of the 16, so that the distribution of the targets is known, and no model can be
below its entropy. Axes: ``b`` pairs, ``s t`` places.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ...vocabulary import EOS, Vocabulary
from ..keyed_random import CIPHER_KEYS, CIPHER_TEXT, permutation, uniform
from ..storage import Folders
from .splits import Pairs, PairSplits, pair_set

LETTERS = "abcdefghijklmnop"
SHORTEST, LONGEST = 4, 9
NOISE = 0.1  # probability that a target letter is any letter
SIZES = 20_000, 2_000, 2_000  # pairs for training, validation and test


@pair_set("cipher")
def cipher(folders: Folders, seed: int) -> PairSplits:
    """Draw the pairs of a seed, which is that of the hidden permutations and of the alphabet too."""
    source, target = (Vocabulary([EOS, *letters], level="character") for letters in (LETTERS, LETTERS.upper()))
    train, valid, test = (draw(n, seed, split) for split, n in enumerate(SIZES))
    hit, miss = 1 - NOISE + NOISE / len(LETTERS), NOISE / len(LETTERS)
    per_letter = -hit * math.log(hit) - (len(LETTERS) - 1) * miss * math.log(miss)
    letters, tokens = float((test.target_length - 1).sum()), float(test.target_length.sum())
    entropy = per_letter * letters / tokens  # the end of a target is certain
    facts = {"entropy": f"{entropy:.4f} nats per target token, EOS included, of the distribution they are drawn from"}
    return PairSplits(source, target, train, valid, test, "drawn by gumbelzoo", entropy, facts)


def draw(n: int, seed: int, split: int) -> Pairs:
    """Draw n pairs."""
    width = LONGEST + 1
    first, noise, replaced = uniform((3, n, width), (CIPHER_TEXT, seed, split))
    lengths = SHORTEST + (uniform((n,), (CIPHER_TEXT, seed, split, 1)) * (LONGEST - SHORTEST + 1)).long()  # without EOS
    letters = 1 + (first * len(LETTERS)).long()  # b s; 0 is EOS
    place = torch.arange(width)
    source = letters.masked_fill(place >= lengths[:, None], 0)
    alignment = permutations(seed)[lengths]  # b t
    read = source.gather(1, alignment.clamp(min=0))
    target = torch.where(noise < NOISE, 1 + (replaced * len(LETTERS)).long(), alphabet(seed)[read])
    target = target.masked_fill(place >= lengths[:, None], 0)
    return Pairs(source, lengths + 1, target, lengths + 1, alignment)


def permutations(seed: int) -> Tensor:
    """Return the source place of each target place by length, ``LONGEST + 1`` twice; -1 for EOS, which has none."""
    rows = torch.full((LONGEST + 1, LONGEST + 1), -1)
    for length in range(SHORTEST, LONGEST + 1):
        rows[length, :length] = permutation(length, (CIPHER_KEYS, seed, length))
    return rows


def alphabet(seed: int) -> Tensor:
    """Return the target id of each source id; EOS stays EOS."""
    return torch.cat([torch.zeros(1, dtype=torch.int64), 1 + permutation(len(LETTERS), (CIPHER_KEYS, seed, 0))])
