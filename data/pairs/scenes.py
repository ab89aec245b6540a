"""Captions of scenes of digits, such as "3 left of 7 left of 1", with known places of the digits they name.

A scene is a grid of 6 x 6 cells. One to three of them hold a digit, in different columns and of different classes; the
others are blank. The caption names the digits from left to right, so it follows from the scene. The source of a pair
has the number of a picture for each cell, row by row, and a blank picture as its end; ``PairSplits.pictures`` has the
levels. Digits of a split are of the same split of their data set, so those of test scenes are in no training scene.

Axes: ``b`` scenes, ``s`` places of a source, ``t`` words of a caption, ``n`` digits of a scene, ``h w`` a picture.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ...interfaces import Cells
from ...vocabulary import EOS, Vocabulary
from ..images import datamodule  # noqa: F401  (importing registers the sets of images)
from ..images.splits import IMAGE_SETS
from ..keyed_random import SCENES, Key, uniform
from ..storage import Folders
from .splits import Pairs, PairSplits, pair_set

GRID = 6  # cells in a row and in a column
CLASSES, MOST = 10, 3  # of digits, and digits in a scene
SIZES = 20_000, 2_000, 2_000  # scenes for training, validation and test
WORDS = Vocabulary([EOS, *map(str, range(CLASSES)), "left", "of"], level="word")
PER_DIGIT = 3  # words: its class, and "left of" or the end


@pair_set("scenes")
def scenes(folders: Folders, seed: int) -> PairSplits:
    """Draw scenes of MNIST digits, of half their resolution."""
    return draw_splits("mnist", 2, folders, seed)


@pair_set("scenes_digits")
def scenes_digits(folders: Folders, seed: int) -> PairSplits:
    """Draw scenes of the 8 x 8 digits that come with scikit-learn."""
    return draw_splits("digits", 1, folders, seed)


def draw_splits(name: str, shrink: int, folders: Folders, seed: int) -> PairSplits:
    """Draw scenes of a set of images, which are made smaller; validation and test are the same for every seed."""
    read = IMAGE_SETS[name].read(folders, False)
    parts, drawn, start = (read.train, read.valid, read.test), [], 1
    for number, (part, n) in enumerate(zip(parts, SIZES, strict=True)):
        key = (SCENES, number, 0 if number else seed)
        drawn.append(draw(part.labels, start, n, key))
        start += len(part.labels)
    digits = torch.cat([part.own_images() for part in parts]).float()  # n 1 h w
    pictures = F.avg_pool2d(digits, shrink).round().to(torch.uint8)[:, 0]
    pictures = torch.cat([torch.zeros_like(pictures[:1]), pictures])  # the first is blank
    cells = Cells(GRID, GRID, *pictures.shape[1:])
    facts = {"captions": "digits from left to right; they follow from the scene, so that their entropy is 0"}
    source = f"drawn by gumbelzoo from {read.source}"
    return PairSplits(cells, WORDS, drawn[0], drawn[1], drawn[2], source, 0.0, facts, pictures)


def draw(labels: Tensor, start: int, n: int, key: Key) -> Pairs:
    """Draw n scenes of digits with classes ``labels``, whose pictures have the numbers from ``start`` on."""
    number = 1 + (uniform((n,), (*key, 0)) * MOST).long()  # b
    kind = _subset(n, CLASSES, (*key, 1))  # b n
    column = _subset(n, GRID, (*key, 2))
    row = (uniform((n, MOST), (*key, 3)) * GRID).long()
    order, count = labels.argsort(stable=True), labels.bincount(minlength=CLASSES)
    of_kind = (uniform((n, MOST), (*key, 4)) * count[kind]).long()
    picture = start + order[(count.cumsum(0) - count)[kind] + of_kind]

    absent = torch.arange(MOST) >= number[:, None]
    # The digits that are there, from left to right; absent ones come last.
    sequence = column.masked_fill(absent, GRID).argsort(dim=1, stable=True)
    kind, place, picture = (each.gather(1, sequence) for each in (kind, row * GRID + column, picture))
    end = GRID * GRID
    source = torch.zeros(n, end + 1, dtype=torch.int64)
    source.scatter_(1, place.masked_fill(absent, end), picture.masked_fill(absent, 0))
    target, alignment = write_captions(kind, place, number)
    return Pairs(source, torch.full((n,), end + 1), target, PER_DIGIT * number - 1, alignment)


def write_captions(kind: Tensor, place: Tensor, number: Tensor) -> tuple[Tensor, Tensor]:
    """Write captions that name the first ``number`` digits in their order.

    Args:
        kind: classes ``b n``.
        place: places of the source, ``b n``.
        number: of digits in each scene, ``b``.

    Returns:
        Token ids ``b t``, and the place of each, -1 for all words but digits.
    """
    left, of = (torch.full_like(kind, WORDS.ids[word]) for word in ("left", "of"))
    none = torch.full_like(place, -1)
    target = torch.stack([1 + kind, left, of], -1).flatten(1)[:, :-1]  # b t
    alignment = torch.stack([place, none, none], -1).flatten(1)[:, :-1]
    outside = torch.arange(target.shape[1]) >= PER_DIGIT * number[:, None] - 2
    return target.masked_fill(outside, 0), alignment.masked_fill(outside, -1)


def _subset(n: int, limit: int, key: Key) -> Tensor:
    """Different numbers below ``limit`` in a random order, ``n MOST``."""
    return uniform((n, limit), key).argsort(dim=1, stable=True)[:, :MOST]
