"""Reader of a folder of codes: arrays that are mapped from its files, of any size. Nothing is unpickled.

Axes: ``n`` images, ``...`` codes of an image, which are ``h w q`` of a VQ-VAE.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...pretrained.paths import user_path, whole_file
from ...pretrained.untrusted import first_line, resolve_inside
from ..npy import read_header as read_npy_header
from .header import SPLITS, CodeHeader, SplitFacts, file_name, read_header

PART = 1 << 22  # codes that are written at a time


class Shards:
    """Rows of several arrays that are mapped from files, as one array ``n ...``.

    Args:
        shards: memory-mapped arrays, in their order; all but the last have equally many rows.
        limit: values are in [0, limit); None for any.
        name: of the array, for messages.

    Attributes:
        shards: the arrays.
    """

    def __init__(self, shards: list[np.memmap], limit: int | None, name: str) -> None:
        self.shards, self._limit, self._name = shards, limit, name

    def __len__(self) -> int:
        return sum(map(len, self.shards))

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape ``n ...``."""
        return len(self), *self.shards[0].shape[1:]

    @property
    def dtype(self) -> np.dtype:
        """Type of the files."""
        return self.shards[0].dtype

    def __getitem__(self, rows: int | slice | np.ndarray) -> np.ndarray:
        """Read rows, as NumPy's indexing of the first axis does.

        Raises:
            IndexError: a row that is not there.
            ValueError: a value out of range, as no model writes.
        """
        if isinstance(rows, slice):
            return self.read(np.arange(*rows.indices(len(self))))
        chosen = np.asarray(rows)
        if chosen.size and not (-len(self) <= chosen.min() and chosen.max() < len(self)):
            raise IndexError(f"{self._name} has {len(self)} rows, and none at {rows}")
        return self.read(np.where(chosen < 0, chosen + len(self), chosen))

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Read rows ``...`` that are there; errors are those of indexing."""
        size = max(1, len(self.shards[0]))
        found = np.empty((*rows.shape, *self.shape[1:]), self.dtype)
        for number in np.unique(rows // size):
            inside = rows // size == number
            found[inside] = self.shards[number][rows[inside] - number * size]
        if self._limit is not None and found.size and not (found.min() >= 0 and found.max() < self._limit):
            raise ValueError(f"{self._name} has values outside [0, {self._limit}); encode the images again")
        return found

    def index_select(self, dim: int, index: Tensor) -> Tensor:
        """Read rows at ``index``, as ``Tensor.index_select`` does along the first axis."""
        return self.tensor(index.numpy())

    def tensor(self, rows: np.ndarray) -> Tensor:
        """Read rows as int64, or float32; errors are those of ``read``."""
        found = self.read(rows)
        return torch.from_numpy(found.astype(np.float32 if found.dtype.kind == "f" else np.int64, copy=False))


class CodeFolder:
    """A folder that ``gumbelzoo encode --split`` wrote.

    Args:
        path: the folder.

    Attributes:
        path: the folder.
        header: what ``codes.json`` says, a ``CodeHeader``: model, data, shape and type of the codes, splits.

    Raises:
        FileNotFoundError: there is no such folder, or no codes in it.
        ValueError: its header is damaged.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = user_path(path)
        self.header: CodeHeader = read_header(self.path)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the codes of an image: ``h w q`` of a VQ-VAE, ``n`` of a VAE."""
        return self.header.shape

    @property
    def codebook_size(self) -> int | None:
        """Number of codes k of each codebook; None for continuous latents."""
        return self.header.codebook_size

    @property
    def splits(self) -> list[str]:
        """Names of the splits whose codes are complete."""
        return [name for name in SPLITS if (facts := self.header.splits.get(name)) and facts.done == facts.images]

    def codes(self, split: str) -> Shards:
        """Return the codes ``n ...`` of a split, mapped into memory; ``codes(split).shards`` are NumPy's own arrays.

        Raises:
            ValueError: an unknown or unfinished split, a file that is missing or has another shape or type.
        """
        return Shards(self._map(split, self.shape, self.header.dtype), self.codebook_size, f"{self.path}: {split}")

    def labels(self, split: str) -> Shards | None:
        """Return the labels ``n`` of a split, or None for images without classes; errors are those of ``codes``."""
        if not self._facts(split).labels:
            return None
        return Shards(self._map(split, (), "int64", labels=True), 1 << 31, f"{self.path}: labels of {split}")

    def tokens(self, split: str) -> list[np.ndarray]:
        """Return the codes of a split as flat views of its files, one image after the other, without a copy.

        Each position of an image has one code of each codebook, and code 3 of one codebook is another than that of the
        next: ``write_tokens`` tells them apart.

        Raises:
            ValueError: continuous latents; errors of ``codes``.
        """
        if self.header.dtype == "float32":
            raise ValueError(f"{self.path} has continuous latents, which are no tokens")
        return [shard.reshape(-1) for shard in self.codes(split).shards]

    def write_tokens(self, split: str, file: str | Path) -> int:
        """Write the codes of a split to one file without a header, as uint16, or uint32 for more than 65,536 tokens.

        Tokens are in [0, q k) for q codebooks of k codes: a code of codebook i, counted from 0, is the token code +
        i k. For one codebook the tokens are the codes. Image i has the tokens from i L up to (i + 1) L, where L is the
        number of codes of an image. There is no token between images.

        Args:
            split: train, valid or test.
            file: to write, such as ``train.bin``.

        Returns:
            The number of tokens q k.

        Raises:
            ValueError: continuous latents, or codebooks whose size is unknown or too large; a file in the folder
                itself; errors of ``codes``.
            OSError: it cannot be written.
        """
        vocabulary = (self.codebook_size or 1 << 32) * self.shape[-1]
        if self.header.dtype == "float32" or vocabulary > 1 << 32:
            raise ValueError(f"{self.path} has no codes that fit into tokens of 32 bits")
        dtype = np.uint16 if vocabulary <= 1 << 16 else np.uint32
        if user_path(file).resolve().parent == self.path.resolve():
            raise ValueError(f"'{file}' lies among the codes, which are not overwritten; choose another folder")
        codes = self.codes(split)
        offsets = (self.codebook_size or 0) * np.arange(self.shape[-1])
        with whole_file(user_path(file)) as stream:
            for part in parts(codes):
                stream.write((part + offsets).astype(dtype).tobytes())
        return vocabulary

    def _facts(self, split: str) -> SplitFacts:
        """Facts of a complete split."""
        facts = self.header.splits.get(split)
        if facts is None:
            known = ", ".join(self.header.splits) or "no split"
            raise ValueError(f"{self.path} has no codes of '{split}' but of {known}; encode it with --split {split}")
        if facts.done < facts.images:
            raise ValueError(
                f"{self.path} has codes of {facts.done:,} of the {facts.images:,} images of '{split}'; run the same "
                "`gumbelzoo encode` again, it goes on"
            )
        return facts

    def _map(self, split: str, shape: tuple[int, ...], dtype: str, labels: bool = False) -> list[np.memmap]:
        """Map the files of a split; errors are those of ``codes``."""
        mapped = []
        for number, shard in enumerate(self._facts(split).shards):
            name = file_name(split, number, labels)
            try:
                mapped.append(map_array(resolve_inside(self.path, name), (shard.images, *shape), dtype))
            except (OSError, ValueError) as error:
                raise ValueError(f"{self.path / name}: {first_line(error)}; encode the images again") from None
        return mapped


def map_array(file: Path, shape: tuple[int, ...], dtype: str) -> np.memmap:
    """Map an .npy file read-only; ValueError for another shape or type than these."""
    with file.open("rb") as stream:
        header = read_npy_header(stream, file.stat().st_size, file.stem)
        start = stream.tell()
    if header.by_columns or header.shape != shape or header.dtype != np.dtype(dtype).newbyteorder("<"):
        raise ValueError(f"it has {header.dtype} of shape {header.shape}, not {dtype} of shape {shape}")
    return np.memmap(file, header.dtype, "r", start, shape)


def parts(codes: Shards, limit: int | None = None, rows: int | None = None) -> Iterator[np.ndarray]:
    """Yield the rows of codes in their order, some at a time, up to ``limit``."""
    step = rows or max(1, PART // max(1, int(np.prod(codes.shape[1:]))))
    end = min(len(codes), limit or len(codes))
    for first in range(0, end, step):
        yield codes[first : min(first + step, end)]
