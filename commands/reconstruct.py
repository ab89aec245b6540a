"""Show test images beside what a trained model makes of them, as one picture."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument("source", help="released name, release folder, hub id, run folder or .ckpt file")
    parser.add_argument("-n", type=int, default=32, metavar="N", help="how many (default: 32)")
    parser.add_argument("--out", type=Path, default=Path("reconstructions.png"), help="default: reconstructions.png")
    parser.add_argument("--root", help="folder of the data sets (default: GUMBELZOO_DATA, else the cache folder)")


def run(options: argparse.Namespace) -> None:
    """Reconstruct images spread over the whole test set, write, and say where."""
    from ..callbacks.figures import reconstruction_grid, save_picture
    from .source import images_of, open_source, require

    if options.n < 1:
        raise ValueError(f"-n must be >= 1, got {options.n}")
    source = open_source(options.source)
    require(source.model, "reconstruct")
    images = images_of(source, options.n, options.root)
    print(save_picture(reconstruction_grid(images, source.model.reconstruct(images)), options.out))
