"""Synthetic photographs: files of many sizes, modes, formats and orientations, of three classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ("circles", "squares", "stripes")
# mode, ending, options
FORMS = (
    ("RGB", "jpg", {"quality": 90}),
    ("L", "jpg", {}),
    ("CMYK", "jpg", {}),
    ("RGB", "png", {}),
    ("RGBA", "png", {}),
    ("P", "png", {}),
    ("LA", "png", {}),
    ("1", "png", {}),
    ("I;16", "png", {}),
    ("RGB", "webp", {}),
    ("RGB", "tif", {"compression": "tiff_lzw"}),
    ("RGB", "bmp", {}),
    ("L", "gif", {}),
    ("RGB", "ppm", {}),
)
TURN = Image.Transpose
# How a picture is stored that its EXIF orientation turns upright.
STORED = {
    2: TURN.FLIP_LEFT_RIGHT,
    3: TURN.ROTATE_180,
    4: TURN.FLIP_TOP_BOTTOM,
    5: TURN.TRANSPOSE,
    6: TURN.ROTATE_90,
    7: TURN.TRANSVERSE,
    8: TURN.ROTATE_270,
}


def scene(kind: str, width: int, height: int, rng: np.random.Generator) -> Image.Image:
    """A circle, a square or stripes, in two colours with some noise."""
    y, x = np.mgrid[:height, :width] / min(width, height) - np.array([height, width])[:, None, None] / (
        2 * min(width, height)
    )
    radius = rng.uniform(0.2, 0.45)
    inside = {
        "circles": x**2 + y**2 < radius**2,
        "squares": np.maximum(abs(x), abs(y)) < radius,
        "stripes": np.sin(x * 12 / radius) > 0,
    }[kind]
    colours = rng.integers(0, 256, (2, 3))
    levels = np.where(inside[..., None], colours[0], colours[1]) + rng.normal(0, 8, (height, width, 3))
    return Image.fromarray(levels.clip(0, 255).astype(np.uint8))


def in_mode(picture: Image.Image, mode: str) -> Image.Image:
    """The picture in another mode."""
    if mode == "I;16":
        return Image.fromarray(np.asarray(picture.convert("L")).astype(np.uint16) * 257)
    return picture.convert(mode)


def save(picture: Image.Image, file: Path, mode: str, orientation: int = 1, **options: object) -> None:
    """Store a picture turned, with the tag that turns it upright again; formats without EXIF store it upright."""
    file.parent.mkdir(parents=True, exist_ok=True)
    picture = in_mode(picture, mode)
    if orientation > 1 and file.suffix in (".jpg", ".png", ".webp", ".tif"):
        exif = Image.Exif()
        exif[0x0112] = orientation
        picture, options = picture.transpose(STORED[orientation]), {**options, "exif": exif}
    picture.save(file, **options)


def write_photographs(folder: Path, n: int, least: int = 30, most: int = 200, seed: int = 0) -> None:
    """Write ``n`` pictures in sub-folders of three classes, whose sides are ``least`` to ``most`` pixels."""
    rng = np.random.default_rng(seed)
    for number in range(n):
        kind, (mode, ending, options) = CLASSES[number % 3], FORMS[number % len(FORMS)]
        width, height = rng.integers(least, most, 2).tolist()
        picture = scene(kind, width, height, rng)
        save(picture, folder / kind / f"{number:04d}.{ending}", mode, 1 + number % 8, **options)
