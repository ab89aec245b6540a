"""Further data sets that torchvision reads and downloads, in the folders that it has for them.

KMNIST (Clanuwat et al. 2018, arXiv:1812.01718), QMNIST (Yadav & Bottou 2019, arXiv:1905.10498), EMNIST (Cohen et al.
2017, arXiv:1702.05373), USPS (Hull 1994), SVHN (Netzer et al. 2011), CIFAR-100 (Krizhevsky 2009).
"""

from __future__ import annotations

from http.client import HTTPException
from typing import Any

import numpy as np

from ..storage import READ_ERRORS, Folders, is_writable, user_cache
from .cifar10 import decode_pickle, read_archive, read_folder
from .splits import Split, Splits, hold_out, image_set

TRAIN_TEST: tuple[dict[str, Any], ...] = ({"train": True}, {"train": False})
SPLIT_RULE = {"splits": "valid: a tenth of the training images, drawn with gumbelzoo's fixed key"}


@image_set("kmnist", (1, 28, 28))
def kmnist(folders: Folders, published: bool = False) -> Splits:
    """Read 54,000 training, 6,000 validation and 10,000 test characters of cursive Japanese, from ``KMNIST/raw``."""
    return _splits("KMNIST", *(_load(folders, "KMNIST", "", part) for part in TRAIN_TEST))


@image_set("qmnist", (1, 28, 28))
def qmnist(folders: Folders, published: bool = False) -> Splits:
    """Read 54,000 training, 6,000 validation and 60,000 test digits, from ``QMNIST/raw``."""
    return _splits("QMNIST", *(_load(folders, "QMNIST", "", part) for part in TRAIN_TEST))


@image_set("emnist", (1, 28, 28))
def emnist(folders: Folders, published: bool = False) -> Splits:
    """Read 101,520 training, 11,280 validation and 18,800 test letters and digits of EMNIST Balanced, upright."""
    parts = [_load(folders, "EMNIST", "", {"split": "balanced", **part}) for part in TRAIN_TEST]
    return _splits("EMNIST Balanced", *(Split(part.images.mT.contiguous(), part.labels) for part in parts))


@image_set("usps", (1, 16, 16))
def usps(folders: Folders, published: bool = False) -> Splits:
    """Read 6,562 training, 729 validation and 2,007 test digits, from ``USPS/usps.bz2`` and ``USPS/usps.t.bz2``."""
    return _splits("USPS", *(_load(folders, "USPS", "USPS", part) for part in TRAIN_TEST))


@image_set("svhn", (3, 32, 32), binarization="none")
def svhn(folders: Folders, published: bool = False) -> Splits:
    """Read 65,932 training, 7,325 validation and 26,032 test house numbers, from ``SVHN/train_32x32.mat`` and so on."""
    return _splits("SVHN", *(_load(folders, "SVHN", "SVHN", {"split": part}) for part in ("train", "test")))


@image_set("cifar100", (3, 32, 32), binarization="none")
def cifar100(folders: Folders, published: bool = False) -> Splits:
    """Read 45,000 training, 5,000 validation and 10,000 test images of 100 classes, from ``cifar-100-python``."""
    from torchvision.datasets import CIFAR100

    names = dict(CIFAR100.train_list + CIFAR100.test_list)
    if folder := folders.find(CIFAR100.base_folder, folder=True):
        return _splits("CIFAR-100", *read_folder(folder, names, decode_pickle))
    path = folders.fetch(CIFAR100.filename, [CIFAR100.url], CIFAR100.tgz_md5)
    return _splits("CIFAR-100", *read_archive(path, CIFAR100.tgz_md5, list(names)))


def _splits(name: str, train: Split, test: Split) -> Splits:
    """Hold a tenth of the training images out for validation."""
    train, valid = hold_out(train, len(train) // 10)
    return Splits(train, valid, test, f"torchvision's files of {name}", details=SPLIT_RULE)


def _load(folders: Folders, kind: str, folder: str, options: dict[str, Any]) -> Split:
    """Read one part of a data set by torchvision's class, downloaded if it is missing.

    Raises:
        FileNotFoundError: it is missing and could not be downloaded.
        ValueError: its files are damaged.
    """
    import torchvision.datasets

    read = getattr(torchvision.datasets, kind)
    for place in (folders.root, user_cache()):
        try:
            return _split(read(str(place / folder), **options))
        except (AssertionError, *READ_ERRORS) as error:
            if isinstance(error, FileNotFoundError) or "not found" in str(error):
                continue
            said = " ".join(str(error).split())[:200] or type(error).__name__
            raise ValueError(f"{place / (folder or kind)} is damaged ({said}); delete it and run again") from error
    place = (folders.root if is_writable(folders.root) else user_cache()) / folder
    try:
        return _split(read(str(place), download=True, **options))
    except (OSError, RuntimeError, HTTPException) as error:
        raise FileNotFoundError(
            f"{kind} is missing in {place} and the download failed ({' '.join(str(error).split())[:200]}); put its "
            f"files there, or set GUMBELZOO_DATA or root to a folder that has {folder or kind}"
        ) from error


def _split(dataset: Any) -> Split:
    """Images and classes of a data set of torchvision."""
    images = np.asarray(dataset.data)
    labels = np.asarray(dataset.targets if hasattr(dataset, "targets") else dataset.labels)
    labels = labels[:, 0] if labels.ndim == 2 else labels  # QMNIST tells more than the class
    return Split.from_numpy(images[:, None] if images.ndim == 3 else images, labels)
