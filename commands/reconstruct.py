"""Reconstruct test images with a trained model, in one picture with the originals."""

from __future__ import annotations

import argparse
from pathlib import Path

from .files.outputs import PICTURES, add_view, check_count, check_output, check_picture, path, read_view, write_picture


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument("source", help="released name, release folder, hub id, run folder or .ckpt file")
    parser.add_argument("-n", type=int, default=32, metavar="N", help="number of images (default: 32)")
    parser.add_argument("--out", type=path, default=Path("reconstructions.png"), help="default: reconstructions.png")
    add_view(parser, "images in a row, each above its reconstruction (default: 8)")
    parser.add_argument("--root", help="folder of the data sets (default: GUMBELZOO_DATA, else the cache folder)")


def run(options: argparse.Namespace) -> None:
    """Reconstruct images from all parts of the test set, write the picture, print its path."""
    from ..callbacks.pictures import reconstruction_columns, reconstruction_grid, reconstruction_name
    from .files.source import read_test_images, require_method, resolve_source

    check_count("-n", options.n)
    view = read_view(options)
    check_output(options.out, PICTURES)
    source = resolve_source(options.source)
    require_method(source.model, "reconstruct")
    images, classes = read_test_images(source, options.n, options.root)
    if not len(images):
        raise ValueError("the data of this prior are codes, without the images; `gumbelzoo decode` shows them")
    columns = reconstruction_columns(len(images), view)
    check_picture(2 * -(-len(images) // columns) * columns, columns, source.model.image_shape, view)
    made, name = source.model.reconstruct(images), reconstruction_name(source.model)
    write_picture(reconstruction_grid(images, made, view, classes, name), options.out)
