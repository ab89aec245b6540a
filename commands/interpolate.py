"""Interpolate between pairs of images through a model's codes, one pair in each row of a picture.

Every picture between the first and the last of a row is decoded from codes. These belong to points on the straight
line between the encoder outputs of the two images: logits of a categorical VAE, means of a Gaussian VAE, features of a
VQ-VAE.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from .outputs import IMAGES_HELP, PICTURES, check_count, check_output, check_picture, path, write_picture


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument("source", help="released name, release folder, hub id, run folder or .ckpt file")
    parser.add_argument("-n", type=int, default=8, metavar="N", help="number of pairs (default: 8)")
    parser.add_argument("--steps", type=int, default=8, help="decoded images of each pair, at least 2 (default: 8)")
    parser.add_argument(
        "--images",
        type=path,
        help=f"{IMAGES_HELP}: from each of the first N to one of the next N (default: test images)",
    )
    parser.add_argument("--out", type=path, default=Path("interpolation.png"), help="default: interpolation.png")
    parser.add_argument("--root", help="folder of the data sets (default: GUMBELZOO_DATA, else the cache folder)")


def run(options: argparse.Namespace) -> None:
    """Interpolate, write the picture, print its path.

    Raises:
        ValueError: a model that cannot, fewer than two images, images that it does not take.
    """
    import torch
    from einops import rearrange

    from ..callbacks.figures import grid
    from .pictures import read_images
    from .source import read_test_images, require_method, resolve_source

    check_count("-n", options.n)
    check_count("--steps", options.steps, least=2)
    check_output(options.out, PICTURES, [options.images])
    source = resolve_source(options.source)
    require_method(source.model, "interpolate")
    if options.images is None:
        images = read_test_images(source, 2 * options.n, options.root)
    else:
        images = read_images(options.images, source.model.image_shape, 2 * options.n)
    if len(images) < 2:
        raise ValueError(f"interpolation needs at least two images, got {len(images)}")
    first, last = images[: len(images) // 2], images[len(images) // 2 :][: len(images) // 2]
    check_picture(len(first) * (options.steps + 2), source.model.image_shape)
    between = source.model.interpolate(first, last, options.steps)  # b s c h w
    rows = torch.cat([first[:, None], between, last[:, None]], dim=1)
    write_picture(grid(rearrange(rows, "b s c h w -> (b s) c h w"), rows.shape[1]), options.out)
