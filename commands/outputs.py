"""Files on the command line. One is written whole or not at all, never over an input, as what its ending names."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..pretrained.paths import same_file, user_path, whole_file
from ..pretrained.untrusted import printable

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

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
MAX_N = 10**9
IMAGES_HELP = (
    "folder of pictures of the model's size, or .npz file with 'images' (b c h w, floats in [0, 1] or levels 0 to "
    "255); transparent pixels are laid on black, hidden files are left out"
)


def path(text: str) -> Path:
    """Type of a command's path arguments: ``user_path`` with the parser's error."""
    try:
        return user_path(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def check_count(name: str, value: int | None, least: int = 1) -> None:
    """ValueError for a number of things that is too small or beyond reason."""
    if value is not None and not least <= value <= MAX_N:
        shown = str(value) if abs(value) < 10**20 else "a number of many digits"
        raise ValueError(f"{name} must be >= {least} and <= 10^9, got {shown}")


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


def check_picture(images: int, shape: Sequence[int]) -> None:
    """ValueError for more images ``c h w`` than one picture may show."""
    from ..callbacks.figures import MIN_WIDTH

    scale = max(1, MIN_WIDTH // shape[2])
    pixels = scale * scale * shape[1] * shape[2]
    if images * pixels > MAX_PIXELS:
        raise ValueError(
            f"{images} images of {shape[1]} x {shape[2]} pixels are too large a picture; it shows at most "
            f"{MAX_PIXELS // pixels}"
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


def write_arrays(out: Path, **arrays: np.ndarray) -> None:
    """Write an .npz file, and print its path and the shape of each array.

    Raises:
        OSError: it cannot be written.
    """
    import numpy as np

    with whole_file(out) as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)
    print(printable(str(out)), *(array.shape for array in arrays.values()), sep="  ")
