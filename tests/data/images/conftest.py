"""Writing files of data sets, and reading them into splits."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from gumbelzoo.data.images.splits import IMAGE_SETS, Splits
from gumbelzoo.data.storage import Folders


@pytest.fixture
def put() -> Callable[[Path, bytes], str]:
    """Writes a file and returns its checksum."""

    def write(path: Path, content: bytes) -> str:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return hashlib.md5(content).hexdigest()

    return write


@pytest.fixture
def read_set() -> Callable[..., Splits]:
    """Reads a data set by name under a root, and checks dtypes and shapes."""

    def read(name: str, root: Path | str, published: bool = False) -> Splits:
        splits = IMAGE_SETS[name].read(Folders(str(root)), published)
        for split in (splits.train, splits.valid, splits.test):
            assert split.images.dtype == torch.uint8
            assert split.labels.dtype == torch.int64
            assert split.images.shape == (len(split), *IMAGE_SETS[name].shape)
        return splits

    return read


@pytest.fixture
def sizes() -> Callable[[Splits], tuple[int, int, int]]:
    """Numbers of training, validation and test images."""
    return lambda splits: (len(splits.train), len(splits.valid), len(splits.test))
