"""Write the codes of images or sentences: of whole splits of images to a folder, or of some to an .npz file.

With --split the codes and labels of the source's own data set become a folder of .npy files and a header, for `decode`,
for --data=codes of `fit`, and for other programs. A folder that is begun goes on. Otherwise an .npz file has the codes
of the test set, of a folder of pictures, of another .npz file, or of a file of one sentence a line.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from .files.classes import add_label
from .files.outputs import (
    ARRAYS,
    IMAGES_HELP,
    TEXT_HELP,
    check_count,
    check_output,
    free_name,
    note_fewer,
    path,
    write_rows,
)

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from .files.source import Source

SPLITS = ("train", "valid", "test", "all")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument("source", help="released name, release folder, hub id, run folder or .ckpt file")
    parser.add_argument("--split", choices=SPLITS, help="write codes and labels of the data set to the folder --out")
    parser.add_argument(
        "--images",
        type=path,
        help=f"{IMAGES_HELP} (default: the test set)",
    )
    parser.add_argument("--text", type=path, metavar="FILE", help=TEXT_HELP)
    add_label(parser, "sentences")
    parser.add_argument(
        "-n", type=int, metavar="N", help="number of test images, spread over the set, or of the first given"
    )
    parser.add_argument(
        "--out", type=path, help="default: codes.npz, with the array 'codes'; with --split the folder codes"
    )
    parser.add_argument("--root", help="folder of the data sets (default: GUMBELZOO_DATA, else the cache folder)")
    parser.add_argument("--device", help="such as cpu or cuda (default: the accelerator, if there is one)")


def run(options: argparse.Namespace) -> None:
    """Encode images or sentences, write the codes part by part, print the place; ``decode`` reads it.

    Raises:
        ValueError: a model without codes, images or sentences that it does not take, an output that is not .npz or an
            input, options that do not go together, a folder of other codes, a device that is not there.
    """
    from .files.source import find_device, refuse_others, require_method, resolve_source

    if options.split is None:
        options.out = options.out or free_name("codes.npz")
    _check(options)
    device = find_device(options.device)
    source = resolve_source(options.source)
    require_method(source.model, "encode")
    if refuse_others(options, source.model, images=("images", "split"), text=("text", "label")):
        _write_sentences(options, source, device)
        return
    if options.split is None:
        _write_file(options, source, device)
        return
    from .files.code_folders import write_code_folder

    splits = SPLITS[:-1] if options.split == "all" else [options.split]
    write_code_folder(source, options.source, splits, options.out or Path("codes"), options.root, device)


def _check(options: argparse.Namespace) -> None:
    """Check options that need no model; errors are those of ``run``."""
    check_count("-n", options.n)
    if options.split is None:
        if not options.out.suffix:
            raise ValueError(f"'{options.out}' is no .npz file; for a folder of a whole split give --split as well")
        check_output(options.out, ARRAYS, [options.images, options.text])
        return
    for name, given in (("--images", options.images), ("-n", options.n)):
        if given is not None:
            raise ValueError(f"{name} is for an .npz file; leave it out, or leave --split out")
    if options.out is not None and options.out.suffix.lower() in ARRAYS:
        raise ValueError(f"--split writes a folder, not '{options.out.name}'; give --out a folder")


def _write_file(options: argparse.Namespace, source: Source, device: torch.device) -> None:
    """Write the codes of test images, or of a user's, to an .npz file."""
    from .files.pictures import Images
    from .files.source import open_splits
    from .files.split_images import spread
    from .files.terminal import with_progress

    parts: Iterable[Tensor]
    if options.images is None:
        (split,) = open_splits(source, ["test"], options.root)
        chosen = spread(len(split), options.n or len(split))
        n, parts = len(chosen), (batch["image"] for batch in split.batches(chosen))
    else:
        given = Images(options.images, source.model.image_shape, options.n)
        n, parts = len(given), given.parts()
    note_fewer(options.n, n, "images")
    model = source.model.to(device)
    codes = (model.encode(part.to(device)).cpu().numpy() for part in with_progress(parts, n, "images"))
    write_rows(options.out, "codes", n, codes)


def _write_sentences(options: argparse.Namespace, source: Source, device: torch.device) -> None:
    """Write the codes of test sentences, or of a user's, to an .npz file."""
    from .files.sentences import Sentences
    from .files.terminal import with_progress

    given = Sentences(source, options, options.n)
    model = source.model.to(device)
    codes = (model.encode(lines, label).cpu().numpy() for lines, label in given.parts())
    n = len(given.lines)
    note_fewer(options.n, n, "sentences")
    write_rows(options.out, "codes", n, with_progress(codes, n, "sentences"))
