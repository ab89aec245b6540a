"""How grey images become the binary ones of a Bernoulli likelihood. Results of different rules never share a table.

static     one draw, the same for ever: the published file where a data set has one, else drawn here with a fixed key
           (Salakhutdinov & Murray 2008, "On the quantitative analysis of deep belief networks").
dynamic    training images are drawn anew in every batch (Burda et al. 2016, arXiv:1509.00519); validation and test
           images are the static draw, so that figures can be compared.
threshold  one where the level is 128 or more.
none       the levels as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from ...registry import Registry
from ..keyed_random import FIXED_DRAW, FRESH_DRAW, Key, bernoulli
from ..loader import Batch, Prepare


def fixed_draw(levels: Tensor, split: int) -> Tensor:
    """Draw each pixel once with a key that depends on nothing but the split's number; uint8 0 or 255."""
    return bernoulli(levels, (FIXED_DRAW, split)) * 255


def cut(levels: Tensor, split: int) -> Tensor:
    """255 where the level is 128 or more, else 0."""
    return (levels >= 128).to(levels.dtype) * 255


def unchanged(levels: Tensor, split: int) -> Tensor:
    """Return the levels as they are."""
    return levels


def to_float(batch: Batch, key: Key) -> Batch:
    """Scale the image from uint8 levels to float32 in [0, 1]."""
    return batch | {"image": batch["image"].float().div_(255)}


def fresh_draw(batch: Batch, key: Key) -> Batch:
    """Draw the image's pixels as float32 zeros and ones, a pure function of the batch's key."""
    return batch | {"image": bernoulli(batch["image"], (FRESH_DRAW, *key)).float()}


@dataclass(frozen=True)
class Binarization:
    """One rule: what happens once to the stored levels, and what happens to each training batch.

    ``train`` and ``evaluation`` take uint8 levels and the split's number (0 train, 1 valid, 2 test); ``batch`` makes a
    training batch; ``published`` says whether a data set's published binary file is wanted; ``fact`` is printed beside
    results.
    """

    fact: str
    train: Callable[[Tensor, int], Tensor]
    evaluation: Callable[[Tensor, int], Tensor]
    batch: Prepare = to_float
    published: bool = False
    colour: bool = False


BINARIZATIONS: Registry[Binarization] = Registry("binarization")
BINARIZATIONS.register("static")(
    Binarization(
        "one Bernoulli draw from the grey levels with gumbelzoo's fixed key", fixed_draw, fixed_draw, published=True
    )
)
BINARIZATIONS.register("dynamic")(
    Binarization(
        "a fresh Bernoulli draw per training batch; validation and test are one draw with gumbelzoo's fixed key",
        unchanged,
        fixed_draw,
        fresh_draw,
    )
)
BINARIZATIONS.register("threshold")(Binarization("1 where the level is 128 of 255 or more", cut, cut))
BINARIZATIONS.register("none")(
    Binarization("levels in [0, 1], no likelihood of binary data", unchanged, unchanged, colour=True)
)
