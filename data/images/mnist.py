"""MNIST (LeCun et al. 1998) and Fashion-MNIST (Xiao et al. 2017, arXiv:1708.07747), from the original IDX files.

``static`` MNIST is the fixed binarization of the literature if ``mnist_static/mnist_salakhutdinov.npz`` is present. It
was drawn by Salakhutdinov & Murray (2008) and published by Larochelle & Murray (2011).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..storage import Folders, read_idx, read_npz, read_unpacked_idx
from .splits import Split, Splits, image_set

# Folders in which other programs keep the files, packed or not.
ELSEWHERE = {
    "MNIST": ("MNIST/raw", "MNIST", "mnist/raw", "mnist"),
    "FashionMNIST": (
        *("FashionMNIST/raw", "FashionMNIST", "fashion-mnist/raw", "fashion-mnist"),
        *("fashion_mnist/raw", "fashion_mnist", "fashionmnist/raw", "fashionmnist"),
    ),
}
# Checksum of each file's content, by the checksum of the file as it is published.
UNPACKED = {
    # MNIST: training images and labels, test images and labels
    "f68b3c2dcbeaaa9fbdd348bbdeb94873": "6bbc9ace898e44ae57da46a324031adb",
    "d53e105ee54ea40749a09fcbcd1e9432": "a25bea736e30d166cdddb491f175f624",
    "9fb629c4189551a2d022fa330f9573f3": "2646ac647ad5339dbf082846283269ea",
    "ec29112dd5afa0611ce80d1b7f02629c": "27ae3e4e09519cfbb04c329615203637",
    # Fashion-MNIST
    "8d4fb7e6c68d591d4c3dfef9ec88bf0d": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
    "25c81989df183df01b3e8a0aad5dffbe": "9018921c3c673c538a1fc5bad174d6f9",
    "bef4ecab320f06d8554ea6380940ec79": "8181f5470baa50b63fa0f6fddb340f0a",
    "bb300cfdad3c16e7a12a480ee83cd310": "15d484375f8d13e6eb1aabb0c3f46965",
}
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
    arrays: list[np.ndarray] = []
    sources: dict[str, None] = {}  # in their order, each once
    for file, md5 in official.resources:
        if other := find_elsewhere(folders, name, file):
            arrays.append(read_unpacked_idx(other, UNPACKED[md5]))
            sources[f"{other.parent.name}/{other.name}"] = None
            continue
        path = folders.fetch(f"{name}/raw/{file}", [mirror + file for mirror in official.mirrors], md5)
        arrays.append(read_idx(path, md5))
        sources[f"{name}/raw/*-ubyte.gz"] = None
    images, labels, test_images, test_labels = arrays
    train, test = Split.from_numpy(images[:, None], labels), Split.from_numpy(test_images[:, None], test_labels)
    cut = len(train) - len(train) // 6
    return Splits(train.select(slice(cut)), train.select(slice(cut, None)), test, ", ".join(sources))


def find_elsewhere(folders: Folders, name: str, file: str) -> Path | None:
    """Return a published file of the data set ``name`` that lies unpacked or in another folder; None if it does not.

    Names with a dot, ``train-images.idx3-ubyte``, are those that some archives unpack to.
    """
    if folders.find(f"{name}/raw/{file}"):
        return None
    stem = file.removesuffix(".gz")
    names = [form for stem in (stem, stem.replace("-idx", ".idx")) for form in (stem, f"{stem}.gz")]
    return folders.find(*(f"{folder}/{form}" for folder in ELSEWHERE[name] for form in names))


@image_set("mnist", (1, 28, 28))
def mnist(folders: Folders, published: bool = False) -> Splits:
    """Read 50,000 training, 10,000 validation and 10,000 test digits."""
    path = folders.find(PUBLISHED) if published else None
    return read_published(path) if path else read_original(folders, "MNIST")


@image_set("fashion_mnist", (1, 28, 28))
def fashion_mnist(folders: Folders, published: bool = False) -> Splits:
    """Read 50,000 training, 10,000 validation and 10,000 test pieces of clothing."""
    return read_original(folders, "FashionMNIST")
