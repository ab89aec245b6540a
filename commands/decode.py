"""Decode codes that `encode` wrote: of images into one picture or an .npz file with all values, of text into lines."""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .files.classes import add_label
from .files.outputs import (
    ARRAYS,
    PICTURES,
    TEXTS,
    add_view,
    check_count,
    check_output,
    check_picture,
    free_name,
    path,
    read_view,
    write_picture,
    write_rows,
)

if TYPE_CHECKING:
    from torch import Tensor

    from .files.source import Source

PART = 500  # codes decoded at a time
SPLITS = ("train", "valid", "test")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument("source", help="released name, release folder, hub id, run folder or .ckpt file")
    parser.add_argument("codes", type=path, help=".npz file with 'codes', or folder, as `encode` writes them")
    parser.add_argument("--split", choices=SPLITS, help="of a folder (default: test, or the one that it has)")
    parser.add_argument("-n", type=int, metavar="N", help="only the first N (default: 64 in a picture, else all)")
    parser.add_argument(
        "--out", type=path, help="picture, or .npz with 'images' (default: decoded.png); text is printed, or a file"
    )
    add_label(parser, "sentences")
    add_view(parser, "images in a row (default: a square)")


def run(options: argparse.Namespace) -> None:
    """Decode codes; write the images and print the path, or print the sentences.

    Raises:
        ValueError: a model without codes, a file without codes, or codes of another shape or range.
    """
    import torch

    from ..callbacks.pictures import sample_columns, sample_grid
    from .files.arrays import MAX_VALUES
    from .files.source import refuse_others, require_method, resolve_source
    from .files.terminal import with_progress

    check_count("-n", options.n)
    view, out = read_view(options), options.out or free_name("decoded.png")
    arrays = out.suffix.lower() in ARRAYS
    check_output(out, [*ARRAYS, *PICTURES, *TEXTS], [options.codes])
    source = resolve_source(options.source)
    model = source.model
    require_method(model, "decode")
    if refuse_others(options, model, images=("split", "scale", "columns", "no_labels"), text=("label",)):
        return _decode_text(options, source)
    check_output(out, [*ARRAYS, *PICTURES])
    n, parts = _read(options, model, options.n or (None if arrays else 64))
    limit = MAX_VALUES // math.prod(model.image_shape)
    if arrays and n > limit:
        raise ValueError(f"{options.codes} has codes of {n} images; at most {limit} are decoded with -n")
    if not arrays:
        check_picture(n, sample_columns(n, view), model.image_shape, view)
    images = with_progress(_decode(model, parts, options.codes), n, "images")
    if arrays:
        write_rows(out, "images", n, (part.numpy() for part in images))
    else:
        write_picture(sample_grid(torch.cat(list(images)), view, f"{n} images decoded from codes"), out)


def _read(options: argparse.Namespace, model: Any, limit: int | None) -> tuple[int, Iterator[Tensor]]:
    """Number of images and their codes, ``PART`` at a time."""
    from .files.arrays import read_codes

    if options.codes.is_dir():
        from ..data import CodeFolder
        from .files.code_folders import read_code_parts

        return read_code_parts(CodeFolder(options.codes), model, options.split, limit, PART)
    if options.split is not None:
        raise ValueError(f"'{options.codes}' is no folder of codes, and has no --split; leave it out")
    codes = read_codes(options.codes, limit)
    return len(codes), iter(codes.split(PART))


def _decode(model: Any, parts: Iterator[Tensor], place: Path) -> Iterator[Tensor]:
    """Decode codes part by part; ValueError for codes whose first axis is not the images."""
    for part in parts:
        images = model.decode(part) if part.ndim > 1 else part
        if images.ndim != 4:
            raise ValueError(
                f"{place}: 'codes' has shape {tuple(part.shape)}; its first axis must be the images, as `encode` "
                "writes them"
            )
        yield images


def _decode_text(options: argparse.Namespace, source: Source) -> None:
    """Print the sentence of each row of codes, or write them to a file."""
    from .files.arrays import read_codes
    from .files.sentences import check_text_output, print_or_write

    if options.out is not None:
        check_text_output(options.out, source, [options.codes])
    codes = read_codes(options.codes, options.n)
    print_or_write((source.model.decode(part, options.label) for part in codes.split(PART)), options.out)
