"""Show the way between pairs of images through the codes of a model, a pair in each row of one picture.

Every picture between the first and the last of a row is decoded from codes: those of the points on the straight line
between what the encoder says of the two images (logits of a categorical VAE, means of a Gaussian one, features of a
VQ-VAE).
"""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument("source", help="released name, release folder, hub id, run folder or .ckpt file")
    parser.add_argument("-n", type=int, default=8, metavar="N", help="how many pairs (default: 8)")
    parser.add_argument("--steps", type=int, default=8, help="decoded images of each pair, at least 2 (default: 8)")
    parser.add_argument(
        "--images",
        type=Path,
        help="folder of pictures or .npz file with 'images': the first N lead to the next N (default: test images)",
    )
    parser.add_argument("--out", type=Path, default=Path("interpolation.png"), help="default: interpolation.png")
    parser.add_argument("--root", help="folder of the data sets (default: GUMBELZOO_DATA, else the cache folder)")


def run(options: argparse.Namespace) -> None:
    """Interpolate, write, and say where.

    Raises:
        ValueError: a model that cannot, fewer than two images, images that it does not take.
    """
    import torch
    from einops import rearrange

    from ..callbacks.figures import grid, save_picture
    from .pictures import read_images
    from .source import images_of, open_source, require

    if options.n < 1 or options.steps < 2:
        raise ValueError(f"-n must be >= 1 and --steps >= 2, got {options.n} and {options.steps}")
    source = open_source(options.source)
    require(source.model, "interpolate")
    if options.images is None:
        images = images_of(source, 2 * options.n, options.root)
    else:
        images = read_images(options.images, source.model.image_shape)[: 2 * options.n]
    if len(images) < 2:
        raise ValueError("a way leads from one image to another: give two or more")
    first, last = images[: len(images) // 2], images[len(images) // 2 :][: len(images) // 2]
    between = source.model.interpolate(first, last, options.steps)  # b s c h w
    rows = torch.cat([first[:, None], between, last[:, None]], dim=1)
    print(save_picture(grid(rearrange(rows, "b s c h w -> (b s) c h w"), rows.shape[1]), options.out))
