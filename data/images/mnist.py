"""MNIST (LeCun et al. 1998) and Fashion-MNIST (Xiao et al. 2017, arXiv:1708.07747), from the original IDX files.

``static`` MNIST is the literature's fixed binarization, drawn once by Salakhutdinov & Murray (2008) and published by
Larochelle & Murray (2011), if ``mnist_static/mnist_salakhutdinov.npz`` is there.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..storage import Folders, read_idx, read_npz
from .splits import Split, Splits, image_set

PUBLISHED = "mnist_static/mnist_salakhutdinov.npz"


def read_published(path: Path) -> Splits:
    """The published binary MNIST, 50,000 / 10,000 / 10,000: rows of ``np.packbits`` of 28 x 28 pixels.

    The labels were matched back and are approximate. The test rows are ordered by class.
    """
    names = {
        f"{split}_{part}": shape for split in ("train", "valid", "test") for part, shape in (("x", (98,)), ("y", ()))
    }
    arrays = read_npz(path, **names)
    parts = []
    for split in ("train", "valid", "test"):
        packed, labels = arrays[f"{split}_x"], arrays[f"{split}_y"]
        if packed.dtype != np.uint8 or len(packed) != len(labels):
            raise ValueError(f"{path}: {split}_x is no table of bytes with one row per label; replace it")
        bits = np.unpackbits(packed, axis=1).reshape(-1, 1, 28, 28)
        parts.append(Split.of(bits * 255, labels))
    fact = f"the literature's fixed draw ({PUBLISHED}, Salakhutdinov & Murray 2008)"
    train, valid, test = parts
    return Splits(train, valid, test, source=PUBLISHED, binarized=fact)


def read_original(folders: Folders, name: str) -> Splits:
    """The four IDX files under ``<name>/raw``; the last sixth of the training images (10,000) is for validation."""
    import torchvision.datasets

    official = getattr(torchvision.datasets, name)
    arrays = []
    for file, md5 in official.resources:
        path = folders.fetch(f"{name}/raw/{file}", [mirror + file for mirror in official.mirrors], md5)
        arrays.append(read_idx(path, md5))
    train, test = Split.of(arrays[0][:, None], arrays[1]), Split.of(arrays[2][:, None], arrays[3])
    cut = len(train) - len(train) // 6
    return Splits(train.rows(slice(cut)), train.rows(slice(cut, None)), test, f"{name}/raw/*-ubyte.gz")


@image_set("mnist", (1, 28, 28))
def mnist(folders: Folders, published: bool = False) -> Splits:
    """50,000 training, 10,000 validation and 10,000 test digits."""
    path = folders.find(PUBLISHED) if published else None
    return read_published(path) if path else read_original(folders, "MNIST")


@image_set("fashion_mnist", (1, 28, 28))
def fashion_mnist(folders: Folders, published: bool = False) -> Splits:
    """50,000 training, 10,000 validation and 10,000 test pieces of clothing."""
    return read_original(folders, "FashionMNIST")
