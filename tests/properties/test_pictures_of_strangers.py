"""Pictures of every mode, format, orientation, number of frames and size, whole and damaged, under any name."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gumbelzoo.commands.files.pictures import FORMATS, read_images
from gumbelzoo.tests.properties.harness import check, contents, examples, refusal
from hypothesis import strategies as st
from PIL import Image, ImageOps

pytestmark = pytest.mark.filterwarnings("error")
HEIGHT, WIDTH = 6, 5
MODES = ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "LAB", "HSV", "I", "F")
WIDE = ("I;16", "I;16L", "I;16B", "I;16N")
OTHERS = ("ICO", "TGA", "PCX", "SGI", "EPS", "PDF", "ICNS", "DDS", "MSP", "XBM", "IM", "JPEG2000", "QOI", "MPO")
SIZES = st.sampled_from([(WIDTH, HEIGHT), (WIDTH, HEIGHT), (HEIGHT, WIDTH), (1, 1), (WIDTH, 2 * HEIGHT), (300, 200)])
NAMES = st.sampled_from(
    ["a.png", "a.JPG", "a.tif", "a", "a.txt", "a.eps", "a.npz", "é\u202e.png", "a\nb.png", "-n.gif"]
)


def picture(mode: str, size: tuple[int, int], seed: int) -> Image.Image:
    """A picture of random levels."""
    levels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 4), dtype=np.uint8)
    if mode in WIDE:
        return Image.frombytes(mode, size, levels[..., :2].tobytes())
    if mode == "F":
        return Image.fromarray(levels[..., 0].astype(np.float32) * 300 - 1000)
    grey, colour = Image.fromarray(levels[..., 0]), Image.fromarray(levels)
    if mode in ("La", "RGBa"):
        return (colour.convert("LA") if mode == "La" else colour).convert(mode)
    if mode in ("LAB", "HSV", "YCbCr", "RGBX"):
        return Image.frombytes(mode, size, levels[..., : 4 if mode == "RGBX" else 3].tobytes())
    return (grey if mode in ("1", "L", "P", "I", "PA") else colour).convert(mode)


def stored(
    mode: str, size: tuple[int, int], form: str, orientation: Any, frames: int, options: dict[str, Any]
) -> bytes:
    """A picture in a format; empty where Pillow does not store that mode in it."""
    first, *more = (picture(mode, size, seed) for seed in range(frames))
    exif = Image.Exif()
    exif[0x0112] = orientation
    extra: dict[str, Any] = {"save_all": True, "append_images": more} if more else {}
    buffer = BytesIO()
    try:
        first.save(buffer, form, exif=exif, **extra, **options)
    except Exception:
        return b""
    return buffer.getvalue()


def damaged(content: bytes, flips: list[tuple[int, int]], cut: int, tail: bytes) -> bytes:
    data = bytearray(content or b"?")
    for place, value in flips:
        data[place % len(data)] ^= value
    return bytes(data[: max(1, len(data) - cut)]) + tail


OPTIONS = st.sampled_from(
    [
        {},
        {},
        {"transparency": 0},
        {"compression": "tiff_lzw"},
        {"compression": "tiff_deflate"},
        {"lossless": True},
        {"progressive": True},
        {"dpi": (0, 0)},
        {"quality": 1},
        {"bits": 1},
        {"interlace": 1},
    ]
)
WHOLE = st.tuples(
    st.sampled_from([*MODES, *WIDE]),
    SIZES,
    st.sampled_from([*FORMATS, *OTHERS]),
    st.sampled_from([1, 1, 1, 2, 3, 4, 5, 6, 7, 8, 0, 9, 65535]),
    st.sampled_from([1, 1, 1, 1, 2]),
    OPTIONS,
).map(lambda parts: stored(*parts))
DAMAGED = st.tuples(
    WHOLE,
    st.lists(st.tuples(st.integers(0, 400), st.integers(1, 255)), max_size=4),
    st.sampled_from([0, 0, 0, 1, 8, 50, 200]),
    st.sampled_from([b"", b"", b"\0" * 100, b"more"]),
).map(lambda parts: damaged(*parts))
SHAPES = [(1, HEIGHT, WIDTH), (3, HEIGHT, WIDTH)]


@examples(60, 5000)
def test_picture_is_right_or_refused(examples: int, tmp_path: Path) -> None:
    """What is read is what Pillow shows on black; nothing is written, and no other program is started."""
    folder = tmp_path / "folder"

    def holds(given: tuple[str, bytes, tuple[int, int, int]]) -> None:
        name, content, shape = given
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        (folder / name).write_bytes(content)
        found: list[torch.Tensor] = []
        if refusal(lambda: found.append(read_images(folder, shape)), names="folder") is None:
            assert found[0].shape == (1, *shape) and found[0].dtype == torch.float32
            expected = shown(content, "L" if shape[0] == 1 else "RGB").reshape(HEIGHT, WIDTH, -1).transpose(2, 0, 1)
            assert np.abs(255 * found[0][0].numpy() - expected).max() <= 1.01
        assert contents(folder) == {name: content}

    check(examples, holds, st.tuples(NAMES, WHOLE | DAMAGED | st.binary(max_size=60), st.sampled_from(SHAPES)))


def shown(content: bytes, mode: str) -> np.ndarray:
    """Levels of a picture, upright and on black."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        upright = ImageOps.exif_transpose(Image.open(BytesIO(content)))
    if upright.has_transparency_data:
        levels = np.asarray(upright.convert("RGBA")).astype(float)
        upright = Image.fromarray((levels[..., :3] * levels[..., 3:] / 255).round().astype(np.uint8))
    return np.asarray(upright.convert(mode)).astype(float)


PLACES: dict[str, Callable[[Path], object]] = {
    "a pipe": os.mkfifo,
    "a folder": Path.mkdir,
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "a link to nothing": lambda path: path.symlink_to("nothing"),
    "a link to itself": lambda path: path.symlink_to(path.name),
    "a link out": lambda path: path.symlink_to("/etc/passwd"),
    "a link to the folder": lambda path: path.symlink_to("."),
    "nothing in it": lambda path: path.touch(),
}


@examples(15, 500)
def test_folder_of_anything_is_read_or_refused(examples: int, tmp_path: Path) -> None:
    folder = tmp_path / "folder"

    def holds(given: dict[str, str]) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for name, kind in given.items():
            if kind == "a picture":
                picture("L", (WIDTH, HEIGHT), 0).save(folder / name, "PNG")
            else:
                PLACES[kind](folder / name)
        before = contents(folder)
        found: list[torch.Tensor] = []
        if refusal(lambda: found.append(read_images(folder, SHAPES[0])), names="folder") is None:
            assert len(found[0]) == list(given.values()).count("a picture")
        assert contents(folder) == before

    names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1, max_size=20)
    names = NAMES | names.filter(lambda name: name not in (".", "..") and not name.startswith("."))
    check(examples, holds, st.dictionaries(names, st.sampled_from(["a picture", *PLACES]), max_size=6))
