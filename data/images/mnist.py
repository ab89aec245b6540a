"""MNIST (LeCun et al. 1998) and Fashion-MNIST (Xiao et al. 2017, arXiv:1708.07747), from the original IDX files.

``static`` MNIST is the fixed binarization of the literature if ``mnist_static/mnist_salakhutdinov.npz`` is present. It
was drawn by Salakhutdinov & Murray (2008) and published by Larochelle & Murray (2011).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..storage import Folders, read_idx, read_npz
from .splits import Split, Splits, image_set

PUBLISHED = "mnist_static/mnist_salakhutdinov.npz"


def read_published(path: Path) -> Splits:
    """Read the published binary MNIST, 50,000 / 10,000 / 10,000: rows of ``np.packbits`` of 28 x 28 pixels.

    The labels were matched back and are approximate. The test rows are ordered by class.
    """
    parts = ("train", "valid", "test")
    shapes: dict[str, tuple[int, ...]] = {}
    for part in parts:
        shapes |= {f"{part}_x": (98,), f"{part}_y": ()}
    arrays = read_npz(path, **shapes)
    splits = []
    for part in parts:
        packed, labels = arrays[f"{part}_x"], arrays[f"{part}_y"]
        if packed.dtype != np.uint8 or len(packed) != len(labels):
            raise ValueError(f"{path}: {part}_x is no table of bytes with one row per label; replace it")
        bits = np.unpackbits(packed, axis=1).reshape(-1, 1, 28, 28)
        splits.append(Split.from_numpy(bits * 255, labels))
    description = f"the literature's fixed draw ({PUBLISHED}, Salakhutdinov & Murray 2008)"
    train, valid, test = splits
    return Splits(train, valid, test, source=PUBLISHED, binarized=description)


def read_original(folders: Folders, name: str) -> Splits:
    """Read the four IDX files under ``<name>/raw``; the last sixth of the training images (10,000) is validation."""
    import torchvision.datasets

    official = getattr(torchvision.datasets, name)
    arrays = []
    for file, md5 in official.resources:
        path = folders.fetch(f"{name}/raw/{file}", [mirror + file for mirror in official.mirrors], md5)
        arrays.append(read_idx(path, md5))
    images, labels, test_images, test_labels = arrays
    train, test = Split.from_numpy(images[:, None], labels), Split.from_numpy(test_images[:, None], test_labels)
    cut = len(train) - len(train) // 6
    return Splits(train.select(slice(cut)), train.select(slice(cut, None)), test, f"{name}/raw/*-ubyte.gz")


@image_set("mnist", (1, 28, 28))
def mnist(folders: Folders, published: bool = False) -> Splits:
    """Read 50,000 training, 10,000 validation and 10,000 test digits."""
    path = folders.find(PUBLISHED) if published else None
    return read_published(path) if path else read_original(folders, "MNIST")


@image_set("fashion_mnist", (1, 28, 28))
def fashion_mnist(folders: Folders, published: bool = False) -> Splits:
    """Read 50,000 training, 10,000 validation and 10,000 test pieces of clothing."""
    return read_original(folders, "FashionMNIST")
