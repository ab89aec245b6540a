"""Reconstruct test images with a trained model, in one picture with the originals; or sentences, as pairs of lines."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from .files.classes import add_label
from .files.outputs import (
    PICTURES,
    TEXT_HELP,
    TEXTS,
    add_view,
    check_count,
    check_output,
    check_picture,
    free_name,
    note_fewer,
    path,
    read_view,
    write_picture,
)

if TYPE_CHECKING:
    from ..callbacks.grids import View
    from .files.source import Source

NUMBER = 32  # of images, or of test sentences


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument("source", help="released name, release folder, hub id, run folder or .ckpt file")
    parser.add_argument("--text", type=path, metavar="FILE", help=TEXT_HELP)
    add_label(parser, "sentences")
    parser.add_argument(
        "-n", type=int, metavar="N", help=f"number of images or sentences (default: {NUMBER}, of a file all)"
    )
    parser.add_argument("--out", type=path, help="file (default: reconstructions.png for images; text is printed)")
    add_view(parser, "images in a row, each above its reconstruction (default: 8)")
    parser.add_argument("--root", help="folder of the data sets (default: GUMBELZOO_DATA, else the cache folder)")


def run(options: argparse.Namespace) -> None:
    """Reconstruct; write the picture and print its path, or print each sentence and its reconstruction.

    Raises:
        ValueError: a model that cannot, sentences that it does not take, an option of the other kind of model.
    """
    from .files.source import refuse_others, require_method, resolve_source

    check_count("-n", options.n)
    view = read_view(options)
    if options.out is not None:
        check_output(options.out, [*PICTURES, *TEXTS])
    source = resolve_source(options.source)
    require_method(source.model, "reconstruct")
    if refuse_others(options, source.model, images=("scale", "columns", "no_labels"), text=("text", "label")):
        _reconstruct_text(options, source)
    else:
        _reconstruct_images(options, source, view)


def _reconstruct_images(options: argparse.Namespace, source: Source, view: View) -> None:
    """Reconstruct images from all parts of the test set in a picture."""
    from ..callbacks.pictures import reconstruction_columns, reconstruction_grid, reconstruction_name
    from .files.source import read_test_images

    out = options.out or free_name("reconstructions.png")
    check_output(out, PICTURES)
    images, classes = read_test_images(source, options.n or NUMBER, options.root)
    if not len(images):
        raise ValueError("the data of this prior are codes, without the images; `gumbelzoo decode` shows them")
    note_fewer(options.n, len(images), "images")
    columns = reconstruction_columns(len(images), view)
    check_picture(2 * -(-len(images) // columns) * columns, columns, source.model.image_shape, view)
    made, name = source.model.reconstruct(images), reconstruction_name(source.model)
    write_picture(reconstruction_grid(images, made, view, classes, name), out)


def _reconstruct_text(options: argparse.Namespace, source: Source) -> None:
    """Print or write a sentence and its reconstruction, with an empty line between two pairs."""
    from .files.sentences import Sentences, check_text_output, print_or_write

    if options.out is not None:
        check_text_output(options.out, source, [options.text])
    given = Sentences(source, options, options.n or (None if options.text else NUMBER))
    note_fewer(options.n, len(given.lines), "sentences")
    pairs = (
        [line, made]
        for lines, label in given.parts()
        for line, made in zip(lines, source.model.reconstruct(lines, label), strict=True)
    )
    print_or_write(([*[""] * (number > 0), *pair] for number, pair in enumerate(pairs)), options.out)
