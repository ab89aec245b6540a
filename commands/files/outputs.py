"""Files on the command line. One is written whole or not at all, never over an input, as what its ending names."""

from __future__ import annotations

import argparse
import os
import sys
import zipfile
from collections.abc import Collection, Iterable, Sequence
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING

from ...pretrained.paths import same_file, user_path, whole_file
from ...pretrained.untrusted import printable

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from ...callbacks.grids import View

PICTURES = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".webp": "WEBP",
    ".bmp": "BMP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".gif": "GIF",
}
ARRAYS = (".npz",)
TEXTS = (".txt", ".text", "")
MAX_PIXELS = 1 << 25  # of a picture that is written
MAX_SIDE = 16_000  # pixels, without margins; WEBP has at most 16,383
MAX_N = 10**9
IMAGES_HELP = (
    "folder of pictures of the model's size, or .npz file with 'images' (b c h w, floats in [0, 1] or levels 0 to "
    "255); transparent pixels are laid on black, hidden files are left out"
)
TEXT_HELP = "UTF-8 file of one sentence a line, for a model of text"


def path(text: str) -> Path:
    """Type of a command's path arguments: ``user_path`` with the parser's error."""
    try:
        return user_path(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def check_count(name: str, value: int | None, least: int = 1) -> None:
    """Check that a number of things is neither too small nor beyond reason, else ValueError."""
    if value is not None and not least <= value <= MAX_N:
        shown = str(value) if abs(value) < 10**20 else "a number of many digits"
        raise ValueError(f"{name} must be >= {least} and <= 10^9, got {shown}")


def note_fewer(asked: int | None, found: int, things: str) -> None:
    """Say that there are fewer things than ``-n`` asks for, if it was given."""
    if asked is not None and found < asked:
        print(f"-n {asked:,} asks for more {things} than there are: {found:,}", file=sys.stderr)


def check_output(out: Path, endings: Collection[str], inputs: Iterable[Path | None] = ()) -> None:
    """Check a file that a command is to write, before the work is done.

    Args:
        out: the file.
        endings: of its kind, such as ``PICTURES``.
        inputs: files that the command reads, and folders whose files it reads.

    Raises:
        ValueError: another ending, a folder, a device or a pipe, or one of the inputs.
    """
    if out.suffix.lower() not in endings:
        if endings is ARRAYS:
            raise ValueError(f"arrays are written to an .npz file, not to '{out.name}'")
        if endings is TEXTS:
            raise ValueError(f"text is written to a text file, not to '{out.name}'; use an ending such as .txt")
        raise ValueError(f"'{out.name}' names no picture format; use an ending such as .png")
    if out.exists() and not out.is_file():
        raise ValueError(f"'{out}' is {'a folder' if out.is_dir() else 'no regular file'}; --out names a file")
    for source in filter(None, inputs):
        files = source.iterdir() if source.is_dir() else [source]
        if found := next((file for file in files if same_file(file, out)), None):
            raise ValueError(f"--out '{out}' is the input '{found}', which is not overwritten; choose another name")


def free_name(name: str) -> Path:
    """Return a path for an output without ``--out``: the name, or with a number, ``samples-2.png``, if it is taken."""
    default = Path(name)
    names = (default.with_stem(f"{default.stem}-{number}") for number in count(2))
    return next(path for path in chain([default], names) if not os.path.lexists(path))


def add_view(parser: argparse.ArgumentParser, columns: str) -> None:
    """Describe the options of a picture of images.

    Args:
        parser: of the command.
        columns: help of ``--columns``.
    """
    parser.add_argument(
        "--scale", type=int, metavar="N", help="draw each pixel of an image as N x N pixels (default: suits a page)"
    )
    parser.add_argument("--columns", type=int, metavar="N", help=columns)
    parser.add_argument("--no_labels", action="store_true", help="the images alone, without a margin of text")


def read_view(options: argparse.Namespace) -> View:
    """Return the options of ``add_view``; ValueError for a number below 1."""
    from ...callbacks.grids import View

    check_count("--scale", options.scale)
    check_count("--columns", options.columns)
    return View(options.scale, options.columns, not options.no_labels)


def check_picture(images: int, columns: int, shape: Sequence[int], view: View) -> None:
    """Check that one picture may show so many images ``c h w`` in so many columns, else ValueError."""
    high, wide = view.size_of(-(-images // columns), columns, *shape[1:])
    if max(high, wide) > MAX_SIDE or high * wide > MAX_PIXELS:
        raise ValueError(
            f"{images} images of {shape[1]} x {shape[2]} pixels are too large a picture, {wide} x {high} pixels; at "
            f"most {MAX_PIXELS:,} are drawn, and {MAX_SIDE:,} on a side: change -n, --columns or --scale"
        )


def write_picture(figure: Tensor, out: Path) -> None:
    """Write a figure ``c H W`` in [0, 1] in the format of the file's ending, and print the path.

    Raises:
        OSError: it cannot be written.
    """
    from torchvision.utils import save_image

    with whole_file(out) as file:
        save_image(figure, file, format=PICTURES[out.suffix.lower()])
    print(printable(str(out)))


def write_rows(out: Path, name: str, rows: int, parts: Iterable[np.ndarray]) -> None:
    """Write one array to a compressed .npz file part by part, and print the path and its shape.

    Args:
        out: the file.
        name: of the array.
        rows: length of the first axis, over all parts.
        parts: the array, cut along its first axis; at least one.

    Raises:
        OSError: it cannot be written.
    """
    import numpy as np

    shape: tuple[int, ...] = ()
    with whole_file(out) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
            for part in parts:
                if not shape:
                    shape = (rows, *part.shape[1:])
                    header = {**np.lib.format.header_data_from_array_1_0(part[:0]), "shape": shape}
                    np.lib.format.write_array_header_1_0(member, header)
                member.write(np.ascontiguousarray(part).tobytes())
    print(printable(str(out)), shape, sep="  ")
