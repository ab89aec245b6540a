"""Splits of a user's arrays: axes, values and labels are checked, and splits that are not given are drawn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..keyed_random import SPLIT, permutation
from ..split_names import PARTS
from .array_files import NAMES
from .folder_labels import MAX_CLASSES
from .levels import Levels, channels_first, layout_of
from .splits import Split, Splits

NO_LABELS = torch.zeros(0, dtype=torch.int64)
NUMBERED = "`np.unique(labels, return_inverse=True)[1]`"
PART = 1 << 24  # bytes that are checked or converted at a time


def as_array(value: Any) -> np.ndarray:
    """Convert a tensor, or what NumPy takes, to an array that may be written to; it shares memory if it can."""
    if isinstance(value, Tensor):
        value = value.detach().cpu()
        value = (value.float() if value.dtype == torch.bfloat16 else value).to_dense().numpy()
    array = np.asarray(value)
    negative = any(stride < 0 for stride in array.strides)  # torch has none
    return array if array.flags.writeable and not negative else array.copy()


def make_splits(arrays: Mapping[str, np.ndarray], source: str) -> Splits:
    """Check arrays and make splits of them; those that are not given are drawn from the training images.

    Args:
        arrays: by their names in ``NAMES``.
        source: where they come from, for messages and metadata.

    Raises:
        ValueError: an unknown name, or arrays that are no images or labels; the array is named.
    """
    for name in arrays.keys() - NAMES.keys():
        raise ValueError(f"unknown array '{name}'; known: {', '.join(NAMES)}")
    if "x_train" not in arrays:
        raise ValueError(f"{source}: x_train is missing, the training images")
    parts = [part for part in PARTS if f"x_{part}" in arrays]
    for part in PARTS:
        if (f"y_{part}" in arrays) != ("y_train" in arrays and part in parts):
            raise ValueError(f"{source}: labels go with images: give y_{part} with x_{part} for every split, or none")
    layout = layout_of(arrays["x_train"].shape, f"{source}: x_train")
    found = {}
    for part in parts:
        images = _images(arrays[f"x_{part}"], layout, f"{source}: x_{part}", arrays["x_train"].shape[1:])
        labels = _labels(arrays[f"y_{part}"], len(images), f"{source}: y_{part}") if "y_train" in arrays else NO_LABELS
        found[part] = Split(images, labels)
    drawn = [part for part in ("test", "valid") if part not in parts]
    for part in drawn:
        found["train"], found[part] = _hold_out(found["train"], source)
    rule = f"{' and '.join(drawn)}: a tenth of the training images, drawn with gumbelzoo's fixed key"
    return Splits(
        found["train"], found["valid"], found["test"], source, details={"splits": rule if drawn else "as given"}
    )


def as_levels(parts: Iterator[np.ndarray], place: str) -> np.ndarray:
    """Convert images that come in parts to uint8 levels; errors are those of ``Levels``."""
    levels = Levels(place)
    converted: list[np.ndarray] = []
    with np.errstate(invalid="ignore", over="ignore"):  # of values that are then refused
        for part in parts:
            levels.add(part)
            converted.append(levels.to_bytes(part))
    levels.finish()
    return np.concatenate(converted)


def _images(array: np.ndarray, layout: str, place: str, shape: tuple[int, ...]) -> Tensor:
    """Convert images to uint8 levels ``n c h w``; those that are uint8 already are not copied."""
    if array.shape[1:] != shape or not len(array):
        raise ValueError(f"{place} has the shape {array.shape}, and the images of x_train {shape}")
    rows = max(1, PART // max(1, array[:1].nbytes))
    parts = (array[first : first + rows] for first in range(0, len(array), rows))
    if array.dtype == np.uint8:
        levels = Levels(place)
        for part in parts:
            levels.add(part)
            if levels.most > 1:  # any other byte is a level
                break
        levels.finish()
    else:
        array = as_levels(parts, place)
    return torch.from_numpy(channels_first(array, layout))


def _labels(array: np.ndarray, n: int, place: str) -> Tensor:
    """Check labels ``n`` or ``n 1``; int64."""
    labels = array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array
    if labels.shape != (n,):
        fix = "; of one-hot labels give `labels.argmax(1)`" if array.ndim == 2 and len(array) == n else ""
        raise ValueError(f"{place} has the shape {array.shape}, and there are {n} images{fix}")
    if labels.dtype.kind not in "iu":
        raise ValueError(f"{place} must be whole numbers from 0, got {labels.dtype}; number them: {NUMBERED}")
    if labels.min() < 0 or labels.max() >= MAX_CLASSES:
        found = f"{labels.dtype} from {labels.min()} to {labels.max()}"
        raise ValueError(f"{place} must be whole numbers from 0, below {MAX_CLASSES:,}, got {found}: {NUMBERED}")
    return torch.from_numpy(labels.astype(np.int64))


def _hold_out(split: Split, source: str) -> tuple[Split, Split]:
    """Draw a tenth of a split; images are not copied."""
    n = len(split) // 10
    if not n:
        raise ValueError(f"{source}: of {len(split)} images no tenth can be held out; give x_valid and x_test")
    order = permutation(len(split), (SPLIT, len(split)))
    return _select(split, order[n:].sort().values), _select(split, order[:n].sort().values)


def _select(split: Split, index: Tensor) -> Split:
    rows = index if split.rows is None else split.rows[index]
    return Split(split.images, split.labels[index] if len(split.labels) else split.labels, rows)


def to_arrays(splits: Splits) -> dict[str, np.ndarray]:
    """Return the arrays of splits by their names in ``NAMES``: what ``make_splits`` makes the same splits of."""
    arrays = {}
    for part in PARTS:
        split = getattr(splits, part)
        arrays[f"x_{part}"] = split.own_images().numpy()
        if len(split.labels):
            arrays[f"y_{part}"] = split.labels.numpy()
    return arrays
