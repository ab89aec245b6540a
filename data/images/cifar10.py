"""CIFAR-10 (Krizhevsky 2009), from the official binary version, torchvision's pickled batches or its archive."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from ..storage import READ_ERRORS, Folders, read_verified, unpickle_arrays
from .splits import Split, Splits, image_set

RECORD = 1 + 3 * 32 * 32
BINARY_MD5 = {
    "data_batch_1.bin": "5dd7e06a14cb22eb9f671a540d1b7c25",
    "data_batch_2.bin": "5ea93a67294ea407fff1d09f752e9692",
    "data_batch_3.bin": "942cd6a4bcdd0dd3c604fbe906cb4421",
    "data_batch_4.bin": "ae636b3ba5c66a11e91e8cb52e771fcb",
    "data_batch_5.bin": "53f37980c15c3d472c316c40844f3f0d",
    "test_batch.bin": "803d5f7f4d78ea53de84dbe85f74fb6d",
}


def decode_binary(content: bytes) -> Split:
    """Decode records of one label byte and three 32 x 32 planes."""
    records = np.frombuffer(content, np.uint8).reshape(-1, RECORD)
    return Split.from_numpy(records[:, 1:].reshape(-1, 3, 32, 32), records[:, 0])


def decode_pickle(content: bytes) -> Split:
    """Decode a pickled dictionary of ``data`` and ``labels``, or ``fine_labels`` in CIFAR-100."""
    batch = unpickle_arrays(content)
    labels = batch["labels" if "labels" in batch else "fine_labels"]
    return Split.from_numpy(batch["data"].reshape(-1, 3, 32, 32), np.asarray(labels))


def read_folder(folder: Path, checksums: dict[str, str], decode: Callable[[bytes], Split]) -> list[Split]:
    """Read the six batches in a folder, the test batch last."""
    for name in checksums:
        if not (folder / name).exists():
            raise FileNotFoundError(
                f"{folder / name} is missing; put it there, or delete the folder to download it anew"
            )
    return [decode(read_verified(folder / name, md5)) for name, md5 in checksums.items()]


def read_archive(path: Path, md5: str, names: list[str]) -> list[Split]:
    """Read the six batches in torchvision's archive, the test batch last."""
    content = read_verified(path, md5)
    try:
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            members = {Path(member.name).name: member for member in archive.getmembers() if member.isfile()}
            return [decode_pickle(archive.extractfile(members[name]).read()) for name in names]  # type: ignore[union-attr]
    except (*READ_ERRORS, tarfile.TarError) as error:
        raise ValueError(f"{path} is not the archive of CIFAR-10 ({error}); delete it and run again") from error


@image_set("cifar10", (3, 32, 32), binarization="none")
def cifar10(folders: Folders, published: bool = False) -> Splits:
    """Read 45,000 training, 5,000 validation (the last tenth) and 10,000 test images in colour."""
    from torchvision.datasets import CIFAR10

    pickled = dict(CIFAR10.train_list + CIFAR10.test_list)
    binary = "cifar-10-batches-bin"
    if folder := folders.find(binary, f"cifar10/{binary}", folder=True):
        batches, source = read_folder(folder, BINARY_MD5, decode_binary), binary
    elif folder := folders.find(CIFAR10.base_folder, folder=True):
        batches, source = read_folder(folder, pickled, decode_pickle), CIFAR10.base_folder
    else:
        path = folders.fetch(CIFAR10.filename, [CIFAR10.url], CIFAR10.tgz_md5)
        batches, source = read_archive(path, CIFAR10.tgz_md5, list(pickled)), CIFAR10.filename
    *training, test = batches
    train = Split(torch.cat([batch.images for batch in training]), torch.cat([batch.labels for batch in training]))
    cut = len(train) - len(train) // 10
    return Splits(train.select(slice(cut)), train.select(slice(cut, None)), test, source)
