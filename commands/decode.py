"""Decode codes into images: one picture, or an .npz file with all values."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from .outputs import ARRAYS, PICTURES, check_count, check_output, check_picture, path, write_arrays, write_picture


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument("source", help="released name, release folder, hub id, run folder or .ckpt file")
    parser.add_argument("codes", type=path, help=".npz file with 'codes', as `encode` writes it")
    parser.add_argument("-n", type=int, metavar="N", help="only the first N (default: 64 in a picture, all in an .npz)")
    parser.add_argument(
        "--out", type=path, default=Path("decoded.png"), help="picture, or .npz with 'images' (default: decoded.png)"
    )


def run(options: argparse.Namespace) -> None:
    """Decode codes, write the images, print the path.

    Raises:
        ValueError: a model without codes, a file without codes, or codes of another shape or range.
    """
    import torch

    from ..callbacks.figures import sample_grid
    from .arrays import MAX_VALUES, read_codes
    from .source import require_method, resolve_source

    check_count("-n", options.n)
    arrays = options.out.suffix.lower() in ARRAYS
    check_output(options.out, [*ARRAYS, *PICTURES], [options.codes])
    model = resolve_source(options.source).model
    require_method(model, "decode")
    codes = read_codes(options.codes, options.n or (None if arrays else 64))
    limit = MAX_VALUES // math.prod(model.image_shape)
    if arrays and len(codes) > limit:
        raise ValueError(f"{options.codes} has codes of {len(codes)} images; at most {limit} are decoded with -n")
    if not arrays:
        check_picture(len(codes), model.image_shape)
    images = torch.cat([model.decode(part) for part in codes.split(500)]) if codes.ndim > 1 else codes
    if images.ndim != 4:
        raise ValueError(
            f"{options.codes}: 'codes' has shape {tuple(codes.shape)}; its first axis must be the images, as `encode` "
            "writes them"
        )
    if arrays:
        write_arrays(options.out, images=images.numpy())
    else:
        write_picture(sample_grid(images), options.out)
