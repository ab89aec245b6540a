"""Binarization of grey images for a Bernoulli likelihood. Results of different rules are not comparable.

static     one fixed draw: the published file where a data set has one, else drawn here with a fixed key
           (Salakhutdinov & Murray 2008, "On the quantitative analysis of deep belief networks").
dynamic    a fresh draw for every training batch (Burda et al. 2016, arXiv:1509.00519); validation and test are the
           static draw, so that their metrics are comparable between runs.
threshold  1 where the level is 128 or more.
none       levels as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from ...interfaces import Batch
from ...registry import Registry
from ..keyed_random import FIXED_DRAW, FRESH_DRAW, Key, bernoulli
from ..loader import Transform


def fixed_draw(levels: Tensor, split: int) -> Tensor:
    """Draw each pixel once, with a key of the split's number alone; uint8 0 or 255."""
    return bernoulli(levels, (FIXED_DRAW, split)) * 255


def threshold(levels: Tensor, split: int) -> Tensor:
    """Return 255 where the level is 128 or more, else 0."""
    return (levels >= 128).to(levels.dtype) * 255


def unchanged(levels: Tensor, split: int) -> Tensor:
    """Return the levels as they are."""
    return levels


def to_float(batch: Batch, key: Key) -> Batch:
    """Scale images from uint8 levels to float32 in [0, 1]."""
    return batch | {"image": batch["image"].float().div_(255)}


def fresh_draw(batch: Batch, key: Key) -> Batch:
    """Draw the pixels as float32 zeros and ones, a pure function of levels and key."""
    return batch | {"image": bernoulli(batch["image"], (FRESH_DRAW, *key)).float()}


@dataclass(frozen=True)
class Binarization:
    """A binarization rule.

    Attributes:
        description: printed with results.
        train: applied once to the training levels, ``train(levels, split)``, with the split's number (0 train, 1 valid,
            2 test); uint8 to uint8.
        evaluation: the same for the levels of validation and test.
        transform: makes a training batch from stored levels.
        published: whether the published binary file of a data set is used.
        colour: whether colour images are allowed.
    """

    description: str
    train: Callable[[Tensor, int], Tensor]
    evaluation: Callable[[Tensor, int], Tensor]
    transform: Transform = to_float
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
BINARIZATIONS.register("threshold")(Binarization("1 where the level is 128 of 255 or more", threshold, threshold))
BINARIZATIONS.register("none")(
    Binarization("levels in [0, 1], not binary: no Bernoulli likelihood", unchanged, unchanged, colour=True)
)
