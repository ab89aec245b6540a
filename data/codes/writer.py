"""Writer of a folder of codes. A process that is killed leaves whole shards, with which the next one goes on.

The header names a shard after its files are complete. What lies there without being named is written again: the codes
of the same images by the same model are the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ...pretrained.paths import SCRATCH, whole_file
from ...pretrained.run_files import LOCK
from ..storage import checksum
from .header import HEADER, CodeHeader, Shard, SplitFacts, file_name, read_header, write_header


@dataclass(frozen=True)
class Part:
    """Codes ``b ...`` of some images, and their labels ``b``, if they have classes."""

    codes: np.ndarray
    labels: np.ndarray | None

    def __len__(self) -> int:
        return len(self.codes)


class CodeWriter:
    """A folder of codes that is begun, or goes on.

    Args:
        folder: new, empty, or begun by the same model on the same data.
        header: of the folder, without splits.

    Attributes:
        header: with the splits as far as they are written.

    Raises:
        ValueError: a folder of another model or other data, or one that has anything else in it.
    """

    def __init__(self, folder: Path, header: CodeHeader) -> None:
        self.folder = folder
        if (folder / HEADER).exists():
            self.header = read_header(folder)
            self._check_same(header)
        elif folder.exists() and not _is_empty(folder):
            raise ValueError(f"'{folder}' exists and has no codes to go on with; choose another --out")
        else:
            folder.mkdir(parents=True, exist_ok=True)
            self.header = header
            write_header(folder, header)
        for scratch in folder.glob(SCRATCH.format("*")):  # of a process that was killed
            with suppress(OSError):
                scratch.unlink()

    def _check_same(self, header: CodeHeader) -> None:
        """Check that the folder belongs to the model and the data of a header."""
        found = self.header
        # The same weights may have several names.
        same = found.model["sha256"] == header.model["sha256"] and found.shape == header.shape
        if not same or (found.dtype, found.codebook_size) != (header.dtype, header.codebook_size):
            raise ValueError(f"'{self.folder}' has codes of another model, {found.model['name']}; choose another --out")
        for fact in ("class", "arguments"):
            if self.header.data.get(fact) != header.data.get(fact):
                raise ValueError(f"'{self.folder}' has codes of other data; choose another --out")
        if self.header.shard_images != header.shard_images:
            raise ValueError(f"'{self.folder}' was written by another version of gumbelzoo; choose another --out")

    def begin(self, split: str, facts: SplitFacts) -> int:
        """Begin a split, or go on with it; return the number of images that are done.

        Shards whose files are missing or damaged are not counted, nor those after them.

        Raises:
            ValueError: the split was begun with other images.
        """
        found = self.header.splits.get(split, facts)
        if replace(found, shards=()) != facts:
            raise ValueError(f"'{self.folder}' has codes of other images of '{split}'; choose another --out")
        whole = 0
        while whole < len(found.shards) and self._is_whole(split, whole, found.shards[whole]):
            whole += 1
        self._save(split, replace(found, shards=found.shards[:whole]))
        return self.header.splits[split].done

    def _is_whole(self, split: str, number: int, shard: Shard) -> bool:
        sums = {file_name(split, number): shard.codes}
        if shard.labels is not None:
            sums[file_name(split, number, labels=True)] = shard.labels
        with suppress(OSError):
            return all(checksum(self.folder / name) == value for name, value in sums.items())
        return False

    def write(self, split: str, parts: Iterator[Part]) -> None:
        """Write the next shard of a split, of as many ``parts`` as it has images.

        Raises:
            ValueError: codes that the codebook has not.
            OSError: it cannot be written.
        """
        facts = self.header.splits[split]
        rows, number = min(self.header.shard_images, facts.images - facts.done), len(facts.shards)
        codes, labels = (self.folder / file_name(split, number, kind) for kind in (False, True))
        found: list[np.ndarray] = []
        with whole_file(codes) as file:
            _write_npy_header(file, (rows, *self.header.shape), self.header.dtype)
            for part in self._checked(parts, rows, found):
                file.write(np.ascontiguousarray(part).data)
        if facts.labels:
            with whole_file(labels) as file:
                _write_npy_header(file, (rows,), "int64")
                file.write(np.concatenate(found).data)
        shard = Shard(rows, checksum(codes), checksum(labels) if facts.labels else None)
        self._save(split, replace(facts, shards=(*facts.shards, shard)))

    def _checked(self, parts: Iterator[Part], rows: int, labels: list[np.ndarray]) -> Iterator[np.ndarray]:
        """Codes of ``rows`` images in the type of the files; their labels are kept in ``labels``."""
        done, size = 0, self.header.codebook_size
        while done < rows and (part := next(parts, None)) is not None:
            codes = part.codes
            if codes.shape[1:] != self.header.shape or (size and not (codes.min() >= 0 and codes.max() < size)):
                raise ValueError(
                    f"the model has encoded images as {codes.dtype} {codes.shape[1:]}, with codes it has not"
                )
            if part.labels is not None:
                labels.append(part.labels.astype(np.int64))
            done += len(part)
            yield codes.astype(self.header.dtype)
        if done != rows or sum(map(len, labels)) not in (0, rows):
            raise ValueError(f"the data set has {done} images where it had {rows}; it changes while it is read")

    def _save(self, split: str, facts: SplitFacts) -> None:
        if self.header.splits.get(split) != facts:
            self.header = replace(self.header, splits={**self.header.splits, split: facts})
            write_header(self.folder, self.header)


def _is_empty(folder: Path) -> bool:
    """True for a folder with nothing in it but what a killed process had not finished, and the lock."""
    return folder.is_dir() and all(path.name == LOCK or path.match(SCRATCH.format("*")) for path in folder.iterdir())


def _write_npy_header(file: BinaryIO, shape: tuple[int, ...], dtype: str) -> None:
    """Write the header of an .npy file of C order."""
    descr = np.lib.format.dtype_to_descr(np.dtype(dtype).newbyteorder("<"))
    np.lib.format.write_array_header_1_0(file, {"descr": descr, "fortran_order": False, "shape": shape})
