"""Interpolate between two images or two sentences through a model's codes.

Every image between the first and the last of a row of the picture is decoded from codes, and so is every line between
the first and the last of a block of text. These codes belong to points on the straight line between the encoder outputs
of both ends: logits of categories, means of Gaussian latents, features of a VQ-VAE.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from .files.classes import add_label
from .files.outputs import (
    IMAGES_HELP,
    PICTURES,
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


NUMBER = 8  # of pairs


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument("source", help="released name, release folder, hub id, run folder or .ckpt file")
    parser.add_argument("-n", type=int, metavar="N", help=f"number of pairs (default: {NUMBER})")
    parser.add_argument("--steps", type=int, default=8, help="decoded points of each pair, at least 2 (default: 8)")
    parser.add_argument(
        "--images",
        type=path,
        help=f"{IMAGES_HELP}: from each of the first N to one of the next N (default: test images)",
    )
    parser.add_argument(
        "--between",
        nargs=2,
        action="append",
        metavar=("FIRST", "LAST"),
        help="two sentences, for a model of text; may be repeated (default: test sentences)",
    )
    add_label(parser, "sentences")
    parser.add_argument("--out", type=path, help="file (default: interpolation.png for images; text is printed)")
    add_view(parser, "pairs in a row (default: 1)")
    parser.add_argument("--root", help="folder of the data sets (default: GUMBELZOO_DATA, else the cache folder)")


def run(options: argparse.Namespace) -> None:
    """Interpolate; write the picture and print its path, or print the sentences.

    Raises:
        ValueError: a model that cannot, fewer than two images or sentences, such that it does not take, an option of
            the other kind of model.
    """
    from .files.source import refuse_others, require_method, resolve_source

    check_count("-n", options.n)
    check_count("--steps", options.steps, least=2)
    view = read_view(options)
    if options.out is not None:
        check_output(options.out, [*PICTURES, *TEXTS], [options.images])
    source = resolve_source(options.source)
    require_method(source.model, "interpolate")
    if refuse_others(options, source.model, images=("images", "scale", "columns"), text=("between", "label")):
        _interpolate_text(options, source)
    else:
        _interpolate_images(options, source, view)


def _interpolate_images(options: argparse.Namespace, source: Source, view: View) -> None:
    """Write one pair in each row of a picture."""
    from ..callbacks.pictures import path_grid
    from .files.pictures import read_images
    from .files.source import read_test_images

    out = options.out or free_name("interpolation.png")
    check_output(out, PICTURES, [options.images])
    number = 2 * (options.n or NUMBER)
    if options.images is None:
        images, classes = read_test_images(source, number, options.root)
    else:
        images, classes = read_images(options.images, source.model.image_shape, number), []
    if len(images) < 2:
        raise ValueError(f"interpolation needs at least two images, got {len(images)}")
    pairs, steps = len(images) // 2, options.steps + 2
    note_fewer(options.n, pairs, "pairs")
    across = min(pairs, view.columns or 1)
    check_picture(-(-pairs // across) * across * steps, across * steps, source.model.image_shape, view)
    first, last = images[:pairs], images[pairs : 2 * pairs]
    between = source.model.interpolate(first, last, options.steps)  # b s c h w
    write_picture(path_grid(first, between, last, view, classes[: 2 * pairs]), out)


def _interpolate_text(options: argparse.Namespace, source: Source) -> None:
    """Print or write a block of lines for each pair, with an empty line between two blocks."""
    from .files.sentences import check_text_output, note_unknown, print_or_write, read_test_sentences

    if options.out is not None:
        check_text_output(options.out, source)
    label = options.label
    if options.between is not None:
        first, last = ([*side] for side in zip(*options.between, strict=True))
        note_unknown(source.model.require_vocabulary(), [*first, *last])
    else:
        lines, labels = read_test_sentences(source, 2 * (options.n or NUMBER), options.root)
        pairs = len(lines) // 2
        note_fewer(options.n, pairs, "pairs")
        first, last = lines[:pairs], lines[pairs : 2 * pairs]
        if label is None and labels is not None and source.model.classes:
            label = labels[:pairs]
    between = source.model.interpolate(first, last, options.steps, label)
    blocks = [[a, *middle, b] for a, middle, b in zip(first, between, last, strict=True)]
    spaced = [block if number == 0 else ["", *block] for number, block in enumerate(blocks)]
    print_or_write(spaced, options.out)
