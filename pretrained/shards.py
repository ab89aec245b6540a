"""Shards of a checkpoint: a file per process with its part of weights and optimizer states, by ``torch.distributed``.

A checkpoint that is split has the state of training in ``last.ckpt``, and the name of the folder with the shards beside
it. torch keeps an index of them as a pickle, which runs what a stranger wrote into it; here it is JSON. The shards hold
tensors only, and are read without running code in them.
"""

from __future__ import annotations

import io
import json
import re
import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Size, Tensor
from torch.distributed import checkpoint as dcp
from torch.distributed.checkpoint import FileSystemReader, FileSystemWriter
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.metadata import (
    BytesStorageMetadata,
    ChunkStorageMetadata,
    Metadata,
    MetadataIndex,
    TensorProperties,
    TensorStorageMetadata,
)
from torch.distributed.checkpoint.planner import LoadPlan, LoadPlanner
from torch.distributed.checkpoint.storage import WriteResult
from torch.futures import Future

from .paths import whole_file
from .run_files import SHARDS
from .untrusted import check_archive, first_line, parse_json

WEIGHTS = "weights/"  # before the name of a tensor
INDEX, MAX_INDEX_BYTES = "index.json", 1 << 26
FOLDER, FILE = re.compile(r"[^/\\\0]+-shards-[0-9a-f]{8}"), re.compile(r"__\d+_\d+\.distcp")
TYPES = (torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.uint8, torch.bool)
DTYPES = {str(kind).removeprefix("torch."): kind for kind in TYPES}


class Place(NamedTuple):
    """Where a part of a tensor lies; attributes as torch's reader asks for them."""

    relative_path: str
    offset: int
    length: int
    transform_descriptors: None = None


class ShardWriter(FileSystemWriter):
    """Writes the tensors of a flat dictionary, and the index that ``ShardReader`` reads."""

    def finish(self, metadata: Metadata, results: list[list[WriteResult]]) -> None:
        """Write the index, in the first process."""
        places = {result.index: result.storage_data for written in results for result in written}
        index: dict[str, Any] = {}
        for name, record in _tensors(metadata).items():
            dtype = str(record.properties.dtype).removeprefix("torch.")
            index[name] = {"dtype": dtype, "size": [*record.size], "parts": []}
            for chunk in record.chunks:
                place = places[MetadataIndex(name, chunk.offsets)]
                part = {"file": place.relative_path, "from": place.offset, "bytes": place.length}
                index[name]["parts"].append({"at": [*chunk.offsets], "sizes": [*chunk.sizes], **part})
        with whole_file(Path(self.path) / INDEX) as file:
            file.write(json.dumps(index).encode())


class ShardReader(FileSystemReader):
    """Reads the tensors of a folder of shards, and nothing else."""

    def read_metadata(self, *args: Any, **kwargs: Any) -> Metadata:
        """Read the index.

        Raises:
            ValueError: it is missing or damaged, leaves a part of a tensor out, or names a place outside of the
                folder's files or tensors that are larger than these.
        """
        folder = Path(self.path)
        parts = [file for file in folder.iterdir() if FILE.fullmatch(file.name) and not file.is_symlink()]
        files = {file.name: file.stat().st_size for file in parts}
        tensors: dict[str, TensorStorageMetadata | BytesStorageMetadata] = {}
        places, total = {}, 0
        try:
            if (folder / INDEX).stat().st_size > MAX_INDEX_BYTES:
                raise ValueError
            for name, record in parse_json((folder / INDEX).read_bytes()).items():
                chunks = []
                for part in record["parts"]:
                    place = Place(part["file"], part["from"], part["bytes"])
                    if place.offset < 0 or place.length < 0 or place.offset + place.length > files[place.relative_path]:
                        raise ValueError
                    chunks.append(ChunkStorageMetadata(_size(part["at"]), _size(part["sizes"])))
                    places[MetadataIndex(name, chunks[-1].offsets)] = place
                dtype, size = DTYPES[record["dtype"]], _size(record["size"])
                if sum(chunk.sizes.numel() for chunk in chunks) != size.numel():
                    raise ValueError
                tensors[name] = TensorStorageMetadata(TensorProperties(dtype), size, chunks)
                total += size.numel() * dtype.itemsize
        except (OSError, KeyError, TypeError, AttributeError, ValueError):
            raise ValueError(f"its {INDEX} is missing, damaged, or leads out of its files") from None
        if total > sum(files.values()):
            raise ValueError("its tensors are larger than its files")
        return Metadata(tensors, storage_data=places)

    def read_data(self, plan: LoadPlan, planner: LoadPlanner) -> Future[None]:
        """Check and read the tensors of a plan; ValueError for one that is damaged or unpacks to more than it takes."""
        for item in plan.items:
            place = self.storage_data[item.storage_index]
            with (Path(self.path) / place.relative_path).open("rb") as file:
                file.seek(place.offset)
                check_archive(io.BytesIO(file.read(place.length)))
        return super().read_data(plan, planner)


def shards_of(checkpoint: Path, content: Mapping[str, Any]) -> Path | None:
    """Return the folder of the shards that belong to a checkpoint; None for one that is a single file.

    Raises:
        ValueError: its name leads out of the checkpoint's folder, or the folder is not there.
    """
    name = content.get(SHARDS)
    if name is None:
        return None
    if not isinstance(name, str) or not FOLDER.fullmatch(name):
        raise ValueError(f"{checkpoint} is no checkpoint of `fit`: the name of its shards is no name")
    folder = checkpoint.parent / name
    if not folder.is_dir() or folder.is_symlink():
        raise ValueError(f"{checkpoint} is a part of a checkpoint: the folder {name} is missing beside it; copy both")
    return folder


def load_shards(folder: Path, tensors: dict[str, Any], alone: bool = False) -> None:
    """Fill tensors, by name, from a folder; several processes take their parts.

    Args:
        folder: of the shards.
        tensors: whole ones, or parts of a mesh of processes.
        alone: read in this process only.

    Raises:
        ValueError: a file is missing or damaged, or has not these tensors.
    """
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "torch.distributed is disabled")  # as asked for
            dcp.load(tensors, storage_reader=ShardReader(folder), no_dist=alone)
    except CheckpointException as error:  # no Exception
        failure = next(failure for failure, _ in error.failures.values())
        said = first_line(failure) if type(failure) is ValueError else type(failure).__name__
        raise ValueError(f"{folder} is damaged or no part of a checkpoint of `fit` ({said})") from None


def read_weights(folder: Path) -> dict[str, Tensor]:
    """Read the weights of all processes, whole, on the CPU; errors are those of ``load_shards``."""
    try:
        records = _tensors(ShardReader(folder).read_metadata())
    except ValueError as error:
        raise ValueError(f"{folder} is no part of a checkpoint of `fit`: {first_line(error)}") from None
    weights = {
        name: torch.zeros(record.size, dtype=record.properties.dtype)
        for name, record in records.items()
        if name.startswith(WEIGHTS)
    }
    load_shards(folder, weights, alone=True)
    return {name.removeprefix(WEIGHTS): tensor for name, tensor in weights.items()}


def remove_shards(checkpoint: Path, but: Path | None = None) -> None:
    """Remove the shards of a checkpoint, also those of processes that were killed while they wrote them."""
    for folder in checkpoint.parent.glob(f"{checkpoint.stem}-shards-*"):
        if folder != but and FOLDER.fullmatch(folder.name):
            shutil.rmtree(folder, ignore_errors=True)


def _tensors(metadata: Metadata) -> dict[str, TensorStorageMetadata]:
    records = metadata.state_dict_metadata.items()
    return {name: record for name, record in records if isinstance(record, TensorStorageMetadata)}


def _size(sides: Any) -> Size:
    """Size of whole numbers >= 0, else ValueError."""
    if not isinstance(sides, list) or not all(type(side) is int and side >= 0 for side in sides):
        raise ValueError
    return Size(sides)
