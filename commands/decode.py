"""Decode codes into images: one picture, or an .npz file with all values."""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .files.outputs import (
    ARRAYS,
    PICTURES,
    add_view,
    check_count,
    check_output,
    check_picture,
    path,
    read_view,
    write_picture,
    write_rows,
)

if TYPE_CHECKING:
    from torch import Tensor

PART = 500  # codes decoded at a time


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument("source", help="released name, release folder, hub id, run folder or .ckpt file")
    parser.add_argument("codes", type=path, help=".npz file with 'codes', as `encode` writes it")
    parser.add_argument("-n", type=int, metavar="N", help="only the first N (default: 64 in a picture, all in an .npz)")
    parser.add_argument(
        "--out", type=path, default=Path("decoded.png"), help="picture, or .npz with 'images' (default: decoded.png)"
    )
    add_view(parser, "images in a row (default: a square)")


def run(options: argparse.Namespace) -> None:
    """Decode codes, write the images, print the path.

    Raises:
        ValueError: a model without codes, a file without codes, or codes of another shape or range.
    """
    import torch

    from ..callbacks.pictures import sample_columns, sample_grid
    from .files.arrays import MAX_VALUES, read_codes
    from .files.source import require_method, resolve_source
    from .files.terminal import with_progress

    check_count("-n", options.n)
    view = read_view(options)
    arrays = options.out.suffix.lower() in ARRAYS
    check_output(options.out, [*ARRAYS, *PICTURES], [options.codes])
    model = resolve_source(options.source).model
    require_method(model, "decode")
    codes = read_codes(options.codes, options.n or (None if arrays else 64))
    limit = MAX_VALUES // math.prod(model.image_shape)
    if arrays and len(codes) > limit:
        raise ValueError(f"{options.codes} has codes of {len(codes)} images; at most {limit} are decoded with -n")
    if not arrays:
        check_picture(len(codes), sample_columns(len(codes), view), model.image_shape, view)
    images = with_progress(_decode(model, codes, options.codes), len(codes), "images")
    if arrays:
        write_rows(options.out, "images", len(codes), (part.numpy() for part in images))
    else:
        title = f"{len(codes)} images decoded from codes"
        write_picture(sample_grid(torch.cat(list(images)), view, title), options.out)


def _decode(model: Any, codes: Tensor, place: Path) -> Iterator[Tensor]:
    """Decode codes, ``PART`` at a time; ValueError for codes whose first axis is not the images."""
    for part in codes.split(PART):
        images = model.decode(part) if codes.ndim > 1 else part
        if images.ndim != 4:
            raise ValueError(
                f"{place}: 'codes' has shape {tuple(codes.shape)}; its first axis must be the images, as `encode` "
                "writes them"
            )
        yield images
