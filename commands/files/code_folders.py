"""Codes of whole splits of a source's own data set, in a folder that ``data.codes`` describes."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...data import CodeFolder
from ...data.codes.header import CodeHeader, SplitFacts, code_dtype
from ...data.codes.writer import CodeWriter, Part
from ...data.own import metadata_of
from ...models.vqvae.codes import weights_checksum
from ...pretrained.paths import user_path
from ...pretrained.untrusted import printable
from ..export import without_places
from ..run_folders.lock import RunLock
from .source import Source, open_splits
from .split_images import SplitImages, rows_at_once
from .terminal import with_progress

SHARD_IMAGES = 10_000  # nearly: whole batches


def encoder_of(model: Any) -> Any:
    """Return the model that makes the codes: of a prior its VQ-VAE."""
    return getattr(model, "vqvae", model)


def write_code_folder(
    source: Source, name: str, splits: Sequence[str], out: Path, root: str | None, device: torch.device
) -> None:
    """Encode splits into a folder, and print what it has. A folder that is begun goes on.

    Args:
        source: model and data.
        name: of the source, as typed.
        splits: some of train, valid and test.
        out: the folder.
        root: folder of the data sets.
        device: where the model runs.

    Raises:
        ValueError: data without images, a file in the place of the folder, or a folder of another model or other data,
            or one that another process writes.
        KeyboardInterrupt: with a note of how to go on.
    """
    images = dict(zip(splits, open_splits(source, splits, root), strict=True))
    model = source.model.to(device)
    header, lock = _header(source, name, images[splits[0]]), RunLock()
    if out.is_file():
        raise ValueError(f"'{out}' is a file, and --split writes a folder; choose another --out")
    out.mkdir(parents=True, exist_ok=True)
    lock.acquire(out)
    try:
        writer = CodeWriter(out, header)
        for split, found in images.items():
            _write_split(writer, split, found, model, device)
    except KeyboardInterrupt as error:
        error.add_note("the same command goes on")
        raise
    finally:
        lock.release()
    for split in splits:
        shape = (len(images[split]), *writer.header.shape)
        print(printable(str(out)), split, shape, writer.header.dtype, sep="  ")


def _header(source: Source, name: str, images: SplitImages) -> CodeHeader:
    """Header of a folder without splits; one image is encoded for the shape of its codes."""
    device = next(source.model.parameters()).device
    (batch,) = images.batches(torch.zeros(1, dtype=torch.int64))
    codes = source.model.encode(batch["image"].to(device))[0]
    encoder = encoder_of(source.model)
    size = getattr(getattr(encoder, "quantizer", None), "codebook_size", getattr(encoder, "categories", None))
    model = {
        "name": _plain_name(source, name),
        "class": encoder.registry_name,
        "image_shape": list(images.shape),
        "sha256": weights_checksum(encoder),
    }
    floating = codes.is_floating_point()
    rows = rows_at_once(images.shape)
    return CodeHeader(
        tuple(codes.shape),
        None if floating else size,
        code_dtype(size, floating),
        rows * max(1, SHARD_IMAGES // rows),
        model,
        {
            "class": str(source.data.get("class")),
            "arguments": without_places(source.data.get("arguments", {})),
            "metadata": metadata_of(images.data),
        },
    )


def _plain_name(source: Source, name: str) -> str:
    """A source's name without places on this machine: configuration and run, a folder, or a name as typed."""
    if source.run is not None:
        return "/".join(source.run.resolve().parts[-2:])
    return user_path(name).resolve().name if user_path(name).exists() else name


def _write_split(writer: CodeWriter, split: str, images: SplitImages, model: Any, device: torch.device) -> None:
    """Encode what is not done of a split."""
    first = next(images.batches(torch.arange(min(len(images), rows_at_once(images.shape)))))
    pixels = hashlib.sha256(first["image"].numpy().tobytes()).hexdigest()
    done = writer.begin(split, SplitFacts(len(images), images.has_labels, pixels))
    if 0 < done < len(images):
        print(f"{split}: {done:,} of {len(images):,} images are encoded already", file=sys.stderr)

    def encoded() -> Iterator[Part]:
        for batch in images.batches(torch.arange(done, len(images))):
            codes = model.encode(batch["image"].to(device)).cpu().numpy()
            yield Part(codes, batch["label"].numpy() if "label" in batch else None)

    parts = with_progress(encoded(), len(images) - done, f"images of {split}")
    for _ in range(done, len(images), writer.header.shard_images):
        writer.write(split, parts)


def read_code_parts(
    folder: CodeFolder, model: Any, split: str | None, limit: int | None, rows: int
) -> tuple[int, Iterator[Tensor]]:
    """Return the number of images and their codes in parts, int64 ``b ...`` or float32, for a model that decodes them.

    Codes of other weights than the model's are told on the terminal.

    Args:
        folder: the codes.
        model: of the images.
        split: default: the first complete one of test, valid and train.
        limit: only the first so many.
        rows: codes in a part.

    Raises:
        ValueError: no such split, or an unfinished one.
    """
    if not folder.splits and split is None:
        raise ValueError(f"{folder.path} has no complete split; run the same `gumbelzoo encode` again, it goes on")
    codes = folder.codes(split or folder.splits[-1])
    if folder.header.model["sha256"] != weights_checksum(encoder_of(model)):
        print(printable(f"{folder.path} has codes of {folder.header.model['name']}, of other weights"), file=sys.stderr)
    images = min(len(codes), limit or len(codes))
    starts = range(0, images, rows)
    return images, (codes.tensor(np.arange(first, min(first + rows, images))) for first in starts)
