"""Decode codes into images: one picture, or an .npz file with all values."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument("source", help="released name, release folder, hub id, run folder or .ckpt file")
    parser.add_argument("codes", type=Path, help=".npz file with 'codes', as `encode` writes it")
    parser.add_argument("-n", type=int, metavar="N", help="only the first N (default: 64 in a picture, all in an .npz)")
    parser.add_argument(
        "--out", type=Path, default=Path("decoded.png"), help="picture, or .npz with 'images' (default: decoded.png)"
    )


def run(options: argparse.Namespace) -> None:
    """Decode codes, write the images, print the path.

    Raises:
        ValueError: a model without codes, a file without codes, or codes of another shape or range.
    """
    import numpy as np
    import torch

    from ..callbacks.figures import sample_grid, save_picture
    from .pictures import read_codes
    from .source import require_method, resolve_source

    if options.n is not None and options.n < 1:
        raise ValueError(f"-n must be >= 1, got {options.n}")
    model = resolve_source(options.source).model
    require_method(model, "decode")
    arrays = options.out.suffix == ".npz"
    codes = read_codes(options.codes)[: options.n or (None if arrays else 64)]
    images = torch.cat([model.decode(part) for part in codes.split(500)]) if codes.ndim > 1 else codes
    if images.ndim != 4:
        raise ValueError(
            f"{options.codes}: 'codes' has shape {tuple(codes.shape)}; its first axis must be the images, as `encode` "
            "writes them"
        )
    if arrays:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(options.out, images=images.numpy())
        print(f"{options.out}  {tuple(images.shape)}")
    else:
        print(save_picture(sample_grid(images), options.out))
