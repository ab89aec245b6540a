"""Write the codes of images to an .npz file: of the test set, of a folder of pictures, or of another .npz file."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from .files.outputs import ARRAYS, IMAGES_HELP, check_count, check_output, path, write_rows

if TYPE_CHECKING:
    from torch import Tensor


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument("source", help="released name, release folder, hub id, run folder or .ckpt file")
    parser.add_argument(
        "--images",
        type=path,
        help=f"{IMAGES_HELP} (default: the test set)",
    )
    parser.add_argument(
        "-n", type=int, metavar="N", help="number of test images, spread over the set, or of the first images given"
    )
    parser.add_argument(
        "--out", type=path, default=Path("codes.npz"), help="default: codes.npz, with the array 'codes'"
    )
    parser.add_argument("--root", help="folder of the data sets (default: GUMBELZOO_DATA, else the cache folder)")


def run(options: argparse.Namespace) -> None:
    """Encode images, write the codes part by part, print the path; ``decode`` reads the file.

    Raises:
        ValueError: a model without codes, images that it does not take, an output that is not .npz or an input.
    """
    from .files.pictures import ROWS, Images
    from .files.source import read_test_images, require_method, resolve_source
    from .files.terminal import with_progress

    check_count("-n", options.n)
    check_output(options.out, ARRAYS, [options.images])
    source = resolve_source(options.source)
    require_method(source.model, "encode")
    parts: Iterable[Tensor]
    if options.images is None:
        images, _ = read_test_images(source, options.n or 10**9, options.root)
        n, parts = len(images), images.split(ROWS)
    else:
        given = Images(options.images, source.model.image_shape, options.n)
        n, parts = len(given), given.parts()
    codes = (source.model.encode(part).numpy() for part in with_progress(parts, n, "images"))
    write_rows(options.out, "codes", n, codes)
