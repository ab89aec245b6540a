"""Header of a folder of codes, ``codes.json``. A folder may come from anyone: every field is checked.

The files of a split are ``train-00000.npy``, ``train-00001.npy``, ... with codes ``n ...``, and where the images have
classes ``train-00000-labels.npy``, ... with int64 labels ``n``. Their names are never read from the header.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...pretrained.paths import whole_file
from ...pretrained.untrusted import first_line, read_json, resolve_inside
from ...registry import unknown_arguments

FORMAT = 1
HEADER = "codes.json"
SPLITS = ("train", "valid", "test")
DTYPES = ("uint8", "uint16", "uint32", "int64", "float32")
ORDER = (
    "images in the order of the data set, neither shuffled nor augmented; the codes of an image row by row of its "
    "grid, and at each position one code of each codebook"
)
MAX_IMAGES, MAX_CODES = 10**10, 1 << 24  # of a split; of an image
SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Shard:
    """Images of a shard, and the SHA-256 of its file of codes and of its file of labels, if there is one."""

    images: int
    codes: str
    labels: str | None = None


@dataclass(frozen=True)
class SplitFacts:
    """A split, perhaps unfinished.

    Attributes:
        images: of the whole split.
        labels: True if its images have classes.
        first: SHA-256 of the pixels of its first images, by which another data set is told.
        shards: those that are written, in their order.
    """

    images: int
    labels: bool
    first: str
    shards: tuple[Shard, ...] = ()

    @property
    def done(self) -> int:
        """Number of images whose codes are written."""
        return sum(shard.images for shard in self.shards)


@dataclass(frozen=True)
class CodeHeader:
    """Content of ``codes.json``.

    Attributes:
        shape: of the codes of an image: ``h w q`` of a VQ-VAE, ``n`` of a VAE. The last axis are the codebooks.
        codebook_size: number of codes k of each codebook; None for continuous latents, and where it is unknown.
        dtype: of the files.
        shard_images: images of every shard but the last.
        model: ``name``, registry ``class``, ``image_shape`` and ``sha256`` of the weights that made the codes.
        data: ``class`` and ``arguments`` of the data set, without places on a machine, and its ``metadata``.
        splits: by name.
        order: of images and codes.
        format: version of this layout.
    """

    shape: tuple[int, ...]
    codebook_size: int | None
    dtype: str
    shard_images: int
    model: Mapping[str, Any]
    data: Mapping[str, Any]
    splits: Mapping[str, SplitFacts] = field(default_factory=dict)
    order: str = ORDER
    format: int = FORMAT

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Shape ``c h w`` of the images."""
        c, h, w = self.model["image_shape"]
        return c, h, w


def code_dtype(codebook_size: int | None, floating: bool = False) -> str:
    """Return the smallest type of the codes of a codebook; float32 for continuous latents."""
    if floating:
        return "float32"
    sizes = {"uint8": 1 << 8, "uint16": 1 << 16, "uint32": 1 << 32}
    return next((name for name, size in sizes.items() if codebook_size and codebook_size <= size), "int64")


def file_name(split: str, number: int, labels: bool = False) -> str:
    """Return the name of a shard's file."""
    return f"{split}-{number:05d}{'-labels' if labels else ''}.npy"


def write_header(folder: Path, header: CodeHeader) -> None:
    """Write the header of a folder whole, the splits in the order of ``SPLITS``; OSError if it cannot be written."""
    content = dataclasses.asdict(header)
    content["splits"] = {name: content["splits"][name] for name in SPLITS if name in content["splits"]}
    with whole_file(folder / HEADER) as file:
        file.write(f"{json.dumps(content, indent=1)}\n".encode())


def read_header(folder: Path) -> CodeHeader:
    """Read the header of a folder.

    Raises:
        FileNotFoundError: there is no such folder, or no codes in it.
        ValueError: another format, a damaged header, or a field that ``encode`` does not write.
    """
    if not (folder / HEADER).exists():
        raise FileNotFoundError(
            f"'{folder}' has no {HEADER}; `gumbelzoo encode SOURCE --split all` writes such a folder"
        )
    try:
        return _parse(read_json(resolve_inside(folder, HEADER)))
    except (OSError, TypeError, ValueError) as error:
        raise ValueError(f"{folder / HEADER}: {first_line(error)}") from None


def _parse(content: dict[str, Any]) -> CodeHeader:
    """Check the content of a header; ValueError or TypeError for what ``encode`` does not write."""
    if type(content.get("format")) is not int or content["format"] != FORMAT:
        raise ValueError(f"format {content.get('format')!r:.40} is not {FORMAT}; update gumbelzoo")
    unknown_arguments("a header", CodeHeader, content)
    splits = content.get("splits")
    if not isinstance(splits, dict) or not set(splits) <= set(SPLITS):
        raise ValueError(f"'splits' must be some of {', '.join(SPLITS)}")
    shape: Any = content.get("shape")
    model, data = content.get("model"), content.get("data")
    if not _is_shape(shape) or math.prod(shape) > MAX_CODES:
        raise ValueError(f"'shape' must be whole numbers of at most {MAX_CODES:,} codes")
    size = content.get("codebook_size")
    if size is not None and not _is_count(size, 1 << 63):
        raise ValueError("'codebook_size' must be a whole number >= 1, or null")
    dtype = content.get("dtype")
    if dtype not in DTYPES or dtype != code_dtype(size, dtype == "float32") or (size and dtype == "float32"):
        raise ValueError(f"'dtype' must be the type of a codebook of that size, one of {', '.join(DTYPES)}")
    if not _is_count(content.get("shard_images"), MAX_IMAGES):
        raise ValueError("'shard_images' must be a whole number >= 1")
    if not isinstance(data, dict) or not isinstance(model, dict) or len(model.get("image_shape", ())) != 3:
        raise ValueError("'model' and 'data' must be JSON objects with their facts")
    texts = (model.get("name"), model.get("class"), content.get("order"))
    if not all(isinstance(text, str) for text in texts) or not _is_shape(model["image_shape"]):
        raise ValueError("'model' must have a name, a class and an image_shape")
    if not _is_sha256(model.get("sha256")):
        raise ValueError("'model.sha256' must be a SHA-256")
    if not isinstance(data.get("metadata", {}), dict):
        raise ValueError("'data.metadata' must be texts by name")
    facts = {name: _parse_split(name, split, content["shard_images"]) for name, split in splits.items()}
    return CodeHeader(**{**content, "shape": tuple(shape), "splits": facts})


def _parse_split(name: str, content: Any, shard_images: int) -> SplitFacts:
    """Check a split: its shards are full up to the last one of the split."""
    if not isinstance(content, dict) or not isinstance(content.get("shards"), list):
        raise ValueError(f"'splits.{name}' must be a JSON object with 'shards'")
    unknown_arguments(f"split '{name}'", SplitFacts, content)
    facts = SplitFacts(**{**content, "shards": tuple(Shard(**shard) for shard in content["shards"])})
    if not _is_count(facts.images, MAX_IMAGES) or type(facts.labels) is not bool or not _is_sha256(facts.first):
        raise ValueError(f"'splits.{name}' must have images, labels and the checksum of the first images")
    left = facts.images
    for shard in facts.shards:
        sums = (shard.codes, shard.labels) if facts.labels else (shard.codes,)
        fits = _is_count(shard.images, left) and shard.images == min(shard_images, left)
        if not fits or not all(map(_is_sha256, sums)):
            raise ValueError(f"'splits.{name}.shards' are not those of {facts.images:,} images")
        left -= shard.images
    return facts


def _is_count(value: Any, most: int) -> bool:
    return type(value) is int and 1 <= value <= most


def _is_shape(value: Any) -> bool:
    return isinstance(value, list) and 0 < len(value) <= 8 and all(_is_count(side, MAX_CODES) for side in value)


def _is_sha256(value: Any) -> bool:
    return isinstance(value, str) and SHA256.fullmatch(value) is not None
