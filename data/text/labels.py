"""Labels of sentences as classes, numbered in the order of their names."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..class_order import ordered
from ..left_out import some
from .tokenization import Sentences

MAX_CLASSES = 1000


def classes_of(sentences: Sentences) -> list[str]:
    """Return the labels in their order, numbers by size, others by alphabet; none of sentences without labels.

    Raises:
        ValueError: too many.
    """
    found = set(sentences.labels or ())
    if len(found) > MAX_CLASSES:
        raise ValueError(
            f"{sentences.source} has {len(found):,} different labels, more than {MAX_CLASSES:,}; does each line begin "
            "with its label?"
        )
    return ordered(found)


def encode_labels(sentences: Sentences, classes: Sequence[str]) -> Tensor | None:
    """Return the class of each sentence, int64 ``b``; None without classes.

    Raises:
        ValueError: sentences without labels, or with one that is no class.
    """
    if not classes:
        return None
    if sentences.labels is None:
        raise ValueError(f"{sentences.source} has no labels, and the training text has; label both or neither")
    numbers = {label: number for number, label in enumerate(classes)}
    for row, label in enumerate(sentences.labels):
        if label not in numbers:
            raise ValueError(f"{sentences.place(row)} has the label {label[:40]!r}, which no line of training has")
    return torch.tensor([numbers[label] for label in sentences.labels])


def describe(classes: Sequence[str]) -> str:
    """Return the classes with their numbers, as text."""
    return f"{len(classes):,} classes: {some([f'{number} {label[:40]}' for number, label in enumerate(classes)])}"
