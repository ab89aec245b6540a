"""Write the codes of images to an .npz file: of the test set, of a folder of pictures, or of another .npz file."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument("source", help="released name, release folder, hub id, run folder or .ckpt file")
    parser.add_argument(
        "--images",
        type=Path,
        help="folder of pictures of the model's size, or .npz file with 'images' (default: the test set)",
    )
    parser.add_argument("-n", type=int, metavar="N", help="number of test images, spread over the set (default: all)")
    parser.add_argument(
        "--out", type=Path, default=Path("codes.npz"), help="default: codes.npz, with the array 'codes'"
    )
    parser.add_argument("--root", help="folder of the data sets (default: GUMBELZOO_DATA, else the cache folder)")


def run(options: argparse.Namespace) -> None:
    """Encode images, write the codes, print the path; ``decode`` reads the file.

    Raises:
        ValueError: a model without codes, images that it does not take, another suffix than .npz.
    """
    import numpy as np
    import torch

    from .pictures import read_images
    from .source import read_test_images, require_method, resolve_source

    if options.n is not None and options.n < 1:
        raise ValueError(f"-n must be >= 1, got {options.n}")
    if options.out.suffix != ".npz":
        raise ValueError(f"codes are written to an .npz file, not to '{options.out.name}'")
    source = resolve_source(options.source)
    require_method(source.model, "encode")
    if options.images is None:
        images = read_test_images(source, options.n or 10**9, options.root)
    else:
        images = read_images(options.images, source.model.image_shape)[: options.n]
    codes = torch.cat([source.model.encode(part) for part in images.split(500)])
    options.out.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(options.out, codes=codes.numpy())
    print(f"{options.out}  {tuple(codes.shape)}")
