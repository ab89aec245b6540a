"""Data sets of other libraries as arrays: torch's ``Dataset`` and ``DataLoader``, Hugging Face's ``datasets``.

Every item is taken once, in order, and kept as uint8 levels: random transforms are drawn once, not in each epoch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

import numpy as np
from torch.utils.data import DataLoader

from ..left_out import tell
from ..split_names import SPELLINGS
from .array_splits import as_array, as_levels
from .decoding import upright

ITEMS = 256  # images that are converted at a time
IMAGE_KEYS = ("image", "img", "images", "pixel_values")
LABEL_KEYS = ("label", "labels", "fine_label", "target")
GREY = ("1", "L", "LA", "La")  # modes of Pillow

Key = str | int | bool | None


def read_datasets(train: Any, valid: Any, test: Any, image: Key, label: Key) -> dict[str, np.ndarray]:
    """Read up to three data sets into arrays by the names of ``array_files.NAMES``.

    Args:
        train: a data set, a loader of batches, or a mapping with ``train``, and maybe ``validation`` and ``test``.
        valid, test: further ones, or None.
        image: key or index of the images; None finds it.
        label: key or index of the labels; None finds it, and False leaves labels out.

    Raises:
        ValueError: no images, images of several shapes, or what no image or label is.
    """
    sets = {"train": train, "valid": valid, "test": test}
    if isinstance(train, Mapping):
        found = {part: next((train[name] for name in SPELLINGS[part] if name in train), None) for part in sets}
        if found["train"] is None:
            raise ValueError(f"a mapping of data sets must have 'train', and it has {', '.join(map(str, train))}")
        sets = {part: found[part] if sets[part] is train or sets[part] is None else sets[part] for part in sets}
    arrays: dict[str, np.ndarray] = {}
    for part, dataset in sets.items():
        if dataset is not None:
            arrays[f"x_{part}"], labels = _read(dataset, part, image, label)
            if labels is not None:
                arrays[f"y_{part}"] = labels
    return arrays


def _read(dataset: Any, part: str, image: Key, label: Key) -> tuple[np.ndarray, np.ndarray | None]:
    """Read the images, uint8, and the labels of one data set."""
    labels: list[np.ndarray] = []
    images = as_levels(_batches(dataset, part, image, label, labels), f"the {part} data set")
    if labels and sum(map(len, labels)) != len(images):
        raise ValueError(f"the {part} data set has labels for some of its images; label=False leaves them out")
    return images, np.concatenate(labels) if labels else None


def _batches(dataset: Any, part: str, image: Key, label: Key, labels: list[np.ndarray]) -> Iterator[np.ndarray]:
    """Yield images, several at a time, all of one shape, and add their labels to a list."""
    from tqdm import tqdm

    place, number = f"the {part} data set", 0
    shape: tuple[int, ...] | None = None
    batched = isinstance(dataset, DataLoader)
    total = len(dataset) if hasattr(dataset, "__len__") else None
    unit = " batches" if batched else " images"
    items = iter(tqdm(_items(dataset), part, total, leave=False, disable=None, delay=1.0, unit=unit))
    mode = None
    while chunk := list(islice(items, 1 if batched else ITEMS)):
        found = [_pick(item, image, IMAGE_KEYS, 0, place) for item in chunk]
        classes = [None] if label is False else [_pick(item, label, LABEL_KEYS, 1, place) for item in chunk]
        if label is None and classes[0] is None and not number:
            _tell_unread(chunk[0], image, place)
        mode = mode or ("L" if getattr(found[0], "mode", None) in GREY else "RGB")
        arrays = [_pixels(value, mode, f"{place}, image {number + i}") for i, value in enumerate(found)]
        shape = shape or (arrays[0].shape[1:] if batched else arrays[0].shape)
        for i, array in enumerate(arrays):
            if (array.shape[1:] if batched else array.shape) != shape:
                raise ValueError(
                    f"{place} has images of the shapes {shape} and {array.shape} (image {number + i}); resize them in "
                    "its transform, or save them as pictures and use --data.name=folder"
                )
        yield arrays[0] if batched else np.stack(arrays)
        if classes[0] is not None:
            labels.append(_classes(classes[0] if batched else classes, place))
        number += len(chunk)
    if shape is None:
        raise ValueError(f"{place} has no images")


def _items(dataset: Any) -> Iterable[Any]:
    """Items of a data set by index, as many as it has; those of an iterable as they come."""
    if not isinstance(dataset, DataLoader) and hasattr(dataset, "__getitem__") and hasattr(dataset, "__len__"):
        return (dataset[i] for i in range(len(dataset)))
    return dataset


def _pick(item: Any, key: Key, names: tuple[str, ...], index: int, place: str) -> Any:
    """Part of an item, by key or index; None for a label that is not there."""
    if isinstance(item, Mapping):
        key = next((name for name in names if name in item), None) if key is None else key
        if key in item:
            return item[key]
    elif isinstance(item, (tuple, list)):
        key = index if key is None else key
        if isinstance(key, int) and -len(item) <= key < len(item):
            return item[key]
    elif not index:
        return item
    if index and key in (None, index):
        return None
    has = ", ".join(map(str, item)) if isinstance(item, Mapping) else f"{len(item)} parts"
    name = "label" if index else "image"
    said = name if key is None else f"{name} {key!r}"
    raise ValueError(f"{place} has no {said}, its items have {has}; say which, as in {name}='{names[0]}'")


def _tell_unread(item: Any, image: Key, place: str) -> None:
    """Name on the terminal what an item without a known label has beside its image."""
    if isinstance(item, Mapping):
        used = next(name for name in (image, *IMAGE_KEYS) if name in item)
        others = [str(name) for name in item if name != used]
        tell(place, {name: f"of {place}; are these labels? label='{name}' reads them" for name in others})


def _pixels(value: Any, mode: str, place: str) -> np.ndarray:
    """Convert an image, or a batch of them, to an array; pictures are read as a viewer shows them."""
    if not hasattr(value, "getbands"):  # no picture of Pillow
        return as_array(value)
    if mode == "L" and value.mode not in GREY:
        raise ValueError(f"{place} is {value.mode}, and the first one grey; convert all of them to one mode")
    try:
        return np.asarray(upright(value, mode))
    except Exception as error:  # what Pillow raises for damaged content has many types
        raise ValueError(f"{place} cannot be read: {' '.join(str(error).split())[:200]}") from None


def _classes(labels: Any, place: str) -> np.ndarray:
    """Labels of some images as an array of whole numbers."""
    try:
        array = as_array(labels)
        fits = array.dtype.kind in "iu"
    except (TypeError, ValueError):
        fits = False
    if not fits:
        first = repr(next(iter(labels)))[:60]
        raise ValueError(f"{place} has labels such as {first}, no whole numbers; label=False leaves them out")
    return array.reshape(len(array), -1)[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array
