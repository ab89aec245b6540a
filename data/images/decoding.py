"""Pictures of users as a viewer shows them: upright, laid on black, 8 bits a channel. All others are refused."""

from __future__ import annotations

import os
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL import Image

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".pbm", ".pgm", ".ppm")
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF", "PPM")  # by content; no other decoder is started
MODES = ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr")
SIXTEEN_BITS = ("I;16", "I;16L", "I;16B", "I;16N")
TILE_WIDTH, TILE_LENGTH = 322, 323  # tags of TIFF
MAX_FILE = 1 << 24  # bytes; a file of many small parts takes a second for each two million
MAX_TILE = 1 << 22  # pixels; a decoder takes memory for a whole tile
MAX_REASON = 200  # characters
_STDERR = threading.Lock()


@contextmanager
def open_picture(file: Path, most_bytes: int = MAX_FILE) -> Iterator[Image.Image]:
    """Open a picture, its pixels unread.

    Raises:
        ValueError: no regular file, or too large.
        Exception: what Pillow raises for other content.
    """
    from PIL import Image

    if not file.is_file():
        raise ValueError("no regular file")
    if file.stat().st_size > most_bytes:
        raise ValueError(f"more than {most_bytes:,} bytes")
    # Not by its path: Pillow would map an uncompressed TIFF, and scramble one that is to be turned.
    with file.open("rb") as stream, Image.open(stream, formats=FORMATS) as picture:
        yield picture


@contextmanager
def without_warnings() -> Iterator[None]:
    """Drop Pillow's warnings, in all threads."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def is_picture(file: Path) -> bool:
    """True for the content of a picture, whatever the name."""
    try:
        with without_warnings(), open_picture(file):
            return True
    except Exception:  # what Pillow raises has many types
        return False


def upright(picture: Image.Image, mode: str, sixteen_bits: bool = False) -> Image.Image:
    """Read the pixels of an opened picture, and return them as a viewer shows them, ``L`` or ``RGB``.

    Args:
        picture: as ``open_picture`` gives it.
        mode: ``L`` for grey, ``RGB`` for colour.
        sixteen_bits: whether grey levels of 16 bits are rounded to 8, instead of refused.

    Raises:
        ValueError: several frames, other than 8 bits, or colours that have no one reading in RGB.
        Exception: what Pillow raises for damaged content.
    """
    from PIL import Image, ImageOps

    frames = getattr(picture, "n_frames", 1)
    if frames > 1 and picture.format != "MPO":  # a camera's second picture is a preview
        raise ValueError(f"{frames} frames; save each as a picture of its own")
    # Pillow reads some 16-bit PNG and PPM files as 32-bit integers.
    wide = picture.mode in SIXTEEN_BITS or (picture.mode == "I" and picture.format in ("PNG", "PPM"))
    if picture.mode.startswith(("I", "F")) and not (wide and sixteen_bits):
        raise ValueError("more than 8 bits a channel")
    if picture.mode not in MODES and not wide:
        raise ValueError(f"colours of the kind {picture.mode}")
    _load(picture)
    turned = ImageOps.exif_transpose(picture)
    if wide:
        turned = _eight_bits(turned)
    if turned.has_transparency_data:
        opaque = turned.convert("RGBA")
        turned = Image.alpha_composite(Image.new("RGBA", opaque.size, (0, 0, 0, 255)), opaque).convert("RGB")
    return turned.convert(mode)


def reason(error: Exception) -> str:
    """Return why a picture is refused, in one line."""
    lines = str(error).strip().splitlines()
    if "decompression bomb" in str(error):
        return "more pixels than a picture may have"
    return lines[0][:MAX_REASON] if lines else type(error).__name__


def _eight_bits(picture: Image.Image) -> Image.Image:
    """Levels of 16 bits, rounded; the one that a PNG makes transparent is black."""
    from PIL import Image

    levels, clear = np.asarray(picture), picture.info.get("transparency")
    levels = levels if clear is None else np.where(levels == clear, 0, levels)
    return Image.fromarray(np.rint(levels / 257).clip(0, 255).astype(np.uint8))


def _load(picture: Image.Image) -> None:
    """Read the pixels of a picture. The library for TIFF prints messages of its own, which are dropped."""
    tags = getattr(picture, "tag_v2", None)
    if tags is None or picture.format != "TIFF":
        picture.load()
        return
    if int(tags.get(TILE_WIDTH, 0)) * int(tags.get(TILE_LENGTH, 0)) > MAX_TILE:
        raise ValueError("tiles far larger than the picture")
    with _STDERR, Path(os.devnull).open("wb") as nothing:
        sys.stderr.flush()
        kept = os.dup(2)
        try:
            os.dup2(nothing.fileno(), 2)
            picture.load()
        finally:
            os.dup2(kept, 2)
            os.close(kept)
