"""Interpolate between pairs of images through a model's codes, one pair in each row of a picture.

Every picture between the first and the last of a row is decoded from codes. These belong to points on the straight
line between the encoder outputs of the two images: logits of a categorical VAE, means of a Gaussian VAE, features of a
VQ-VAE.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from .files.outputs import (
    IMAGES_HELP,
    PICTURES,
    add_view,
    check_count,
    check_output,
    check_picture,
    path,
    read_view,
    write_picture,
)


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
    add_view(parser, "pairs in a row (default: 1)")
    parser.add_argument("--root", help="folder of the data sets (default: GUMBELZOO_DATA, else the cache folder)")


def run(options: argparse.Namespace) -> None:
    """Interpolate, write the picture, print its path.

    Raises:
        ValueError: a model that cannot, fewer than two images, images that it does not take.
    """
    from ..callbacks.pictures import path_grid
    from .files.pictures import read_images
    from .files.source import read_test_images, require_method, resolve_source

    check_count("-n", options.n)
    check_count("--steps", options.steps, least=2)
    view = read_view(options)
    check_output(options.out, PICTURES, [options.images])
    source = resolve_source(options.source)
    require_method(source.model, "interpolate")
    if options.images is None:
        images, classes = read_test_images(source, 2 * options.n, options.root)
    else:
        images, classes = read_images(options.images, source.model.image_shape, 2 * options.n), []
    if len(images) < 2:
        raise ValueError(f"interpolation needs at least two images, got {len(images)}")
    pairs, steps = len(images) // 2, options.steps + 2
    across = min(pairs, view.columns or 1)
    check_picture(-(-pairs // across) * across * steps, across * steps, source.model.image_shape, view)
    first, last = images[:pairs], images[pairs : 2 * pairs]
    between = source.model.interpolate(first, last, options.steps)  # b s c h w
    write_picture(path_grid(first, between, last, view, classes[: 2 * pairs]), options.out)
