"""Pictures of users: read as a viewer shows them, or refused in one line; whatever their names, modes and contents."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gumbelzoo.commands.files import pictures
from gumbelzoo.commands.files.pictures import read_images
from gumbelzoo.train import main
from PIL import Image
from torch import Tensor

pytestmark = pytest.mark.filterwarnings("error")
GREY, COLOUR = (1, 8, 8), (3, 8, 8)
LEVELS = np.random.default_rng(0).integers(0, 256, (8, 8), dtype=np.uint8)
DIGIT = Image.fromarray(LEVELS)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder for pictures."""
    (tmp_path / "folder").mkdir()
    return tmp_path / "folder"


def levels(images: Tensor) -> np.ndarray:
    """The one image read, as levels ``h w``."""
    assert images.shape == (1, *GREY)
    return (255 * images[0, 0]).round().byte().numpy()


def test_one_picture_is_no_folder(folder: Path) -> None:
    DIGIT.save(folder / "a.png")
    with pytest.raises(ValueError, match=r"a\.png is one picture; give the folder it is in, '[^\n]*/folder'"):
        read_images(folder / "a.png", GREY)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("ending", ["png", "webp", "tif", "jpg"])
def test_orientation_is_respected(orientation: int, ending: str, folder: Path) -> None:
    """Stored turned or mirrored, with the tag that says so; JPEG is compared within its loss."""
    turn = Image.Transpose
    stored = {2: turn.FLIP_LEFT_RIGHT, 3: turn.ROTATE_180, 4: turn.FLIP_TOP_BOTTOM, 5: turn.TRANSPOSE}
    stored |= {6: turn.ROTATE_90, 7: turn.TRANSVERSE, 8: turn.ROTATE_270}
    wide = np.repeat(np.repeat(LEVELS, 16, 0), 24, 1)  # 128 x 192: its sides are exchanged when it is turned
    picture = Image.fromarray(wide)
    exif = Image.Exif()
    exif[0x0112] = orientation
    options: dict[str, Any] = {"lossless": True} if ending == "webp" else {"quality": 100} if ending == "jpg" else {}
    turned = picture.transpose(stored[orientation]) if orientation > 1 else picture
    turned.save(folder / f"a.{ending}", exif=exif, **options)
    read = 255 * read_images(folder, (1, 128, 192))[0, 0]
    assert float((read - torch.from_numpy(wide)).abs().max()) <= (3 if ending == "jpg" else 0.01)


def transparent(mode: str) -> Image.Image:
    """White everywhere, the digit in its transparency."""
    white = Image.new("L", (8, 8), 255)
    if mode == "LA":
        return Image.merge("LA", (white, DIGIT))
    if mode == "RGBA":
        return Image.merge("RGBA", (white, white, white, DIGIT))
    palette = DIGIT.convert("P")  # the index of a pixel is its level
    palette.putpalette([255] * 768)
    palette.info["transparency"] = bytes(range(256))
    return palette


@pytest.mark.parametrize("mode", ["LA", "RGBA", "P"])
@pytest.mark.parametrize("shape", [GREY, COLOUR])
def test_transparency_is_laid_on_black(mode: str, shape: tuple[int, ...], folder: Path) -> None:
    transparent(mode).save(folder / "a.png")
    images = read_images(folder, shape)
    expected = torch.from_numpy(LEVELS / 255).float().expand(1, *shape)
    assert float((images - expected).abs().max()) <= 1.01 / 255


def test_transparent_level_is_black(folder: Path) -> None:
    """A grey PNG whose one level is transparent."""
    Image.new("L", (8, 8), 200).save(folder / "a.png", transparency=200)
    assert levels(read_images(folder, GREY)).max() == 0


MODES: dict[str, Callable[[], Image.Image]] = {
    "1": lambda: DIGIT.point(lambda level: 255 * (level > 127)).convert("1"),
    **{mode: lambda mode=mode: DIGIT.convert(mode) for mode in ("L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")},
    **{mode: lambda mode=mode: DIGIT.convert(mode) for mode in ("I", "F", "LAB")},
    "I;16": lambda: Image.fromarray(LEVELS.astype(np.uint16)),
}
REFUSED = {"I": "8 bits", "F": "8 bits", "I;16": "8 bits", "LAB": "colours of the kind LAB"}


@pytest.mark.parametrize("mode", MODES)
def test_mode_is_right_or_refused(mode: str, folder: Path) -> None:
    picture = MODES[mode]()
    # Pillow before 13 writes an uncompressed YCbCr that it cannot read.
    picture.save(folder / "a.tif", compression="tiff_lzw" if mode == "YCbCr" else None)
    if mode in REFUSED:
        with pytest.raises(ValueError, match=rf"^[^\n]*a\.tif is no picture that can be read \(.*{REFUSED[mode]}"):
            read_images(folder, GREY)
    else:
        expected = 255 * (LEVELS > 127) if mode == "1" else LEVELS
        assert np.abs(levels(read_images(folder, GREY)).astype(int) - expected).max() <= 1


@pytest.mark.parametrize("ending", ["gif", "tif", "webp", "png"])
def test_several_frames_are_refused(ending: str, folder: Path) -> None:
    frames = [DIGIT, DIGIT.transpose(Image.Transpose.ROTATE_90), DIGIT.transpose(Image.Transpose.ROTATE_180)]
    frames[0].save(folder / f"a.{ending}", save_all=True, append_images=frames[1:])
    with pytest.raises(ValueError, match=r"a\.\w+ is no picture that can be read \(3 frames; save each"):
        read_images(folder, GREY)


def test_content_counts_and_not_the_ending(folder: Path, capfd: Any) -> None:
    """What is no picture is named, in one line; hidden files are not."""
    for name, form in {"0.png": "PNG", "1.jfif": "JPEG", "2": "BMP", "3.dat": "PNG", "4.png": "JPEG"}.items():
        DIGIT.save(folder / name, format=form)
    (folder / "notes.txt").write_text("no picture")
    (folder / "esc\x1b[2J.csv").write_text("1, 2")
    (folder / ".hidden").write_text("no picture")
    (folder / "more").mkdir()
    os.mkfifo(folder / "pipe")
    assert read_images(folder, GREY).shape == (5, *GREY)
    error = capfd.readouterr().err
    assert error == f"{folder}: 4 left out, no pictures: esc\N{REPLACEMENT CHARACTER}[2J.csv, more, notes.txt, pipe\n"


def chunk(kind: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")


def png(width: int, height: int) -> bytes:
    """A PNG of grey pixels that claims a size, in a few bytes."""
    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x08\0\0\0\0"
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 99)) + chunk(b"IEND", b"")
    )


def saved(form: str) -> bytes:
    from io import BytesIO

    buffer = BytesIO()
    DIGIT.save(buffer, form)
    return buffer.getvalue()


def tiff(side: int) -> bytes:
    """A TIFF of 8 x 8 pixels in one tile of zeros, compressed as JPEG, which they are not."""
    tags = {256: 8, 257: 8, 258: 8, 259: 7, 262: 1, 277: 1, 322: side, 323: side, 324: 8, 325: 100}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    return b"II*\0" + struct.pack("<I", 108) + bytes(100) + struct.pack("<H", len(tags)) + entries + bytes(4)


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n(ran) (w) file closefile showpage\n%%EOF\n"
CONTENTS: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "is no picture that can be read"),
    "a text": (b"hello", "is no picture that can be read"),
    "PostScript": (EPS, "is no picture that can be read"),
    "an icon": (saved("ICO"), "is no picture that can be read"),
    "half a PNG": (saved("PNG")[:-40], "is no picture that can be read"),
    "half a JPEG": (saved("JPEG")[:-200], "is no picture that can be read"),
    "a damaged PNG": (saved("PNG")[:45] + b"\xff\0\xff" + saved("PNG")[48:], "is no picture that can be read"),
    "few pixels for its size": (png(8, 8)[:41] + chunk(b"IEND", b""), "is no picture that can be read"),
    "100 megapixels": (png(10_000, 10_000), "is 10000 x 10000 pixels, the model takes 8 x 8"),
    "a tile of gigabytes": (tiff(46_336), "tiles far larger than the picture"),
    "a damaged TIFF": (tiff(16), "is no picture that can be read"),
    "a decompression bomb": (png(60_000, 60_000), "more pixels than a picture may have"),
    "other sides": (png(8, 9), "is 8 x 9 pixels, the model takes 8 x 8"),
}


@pytest.mark.parametrize("content", CONTENTS)
def test_unfit_content_is_named(
    content: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Without a decoder that starts programs, and without another library's message."""
    monkeypatch.setattr("subprocess.Popen", None)
    (folder / "a.png").write_bytes(CONTENTS[content][0])
    with pytest.raises(ValueError, match=rf"^[^\n]*a\.png[^\n]*{CONTENTS[content][1]}[^\n]*$"):
        read_images(folder, GREY)
    assert capfd.readouterr().err == ""


UNFIT: dict[str, Callable[[Path], object]] = {
    "a pipe": os.mkfifo,
    "a folder": Path.mkdir,
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "a link to nothing": lambda path: path.symlink_to("nothing"),
    "a link to itself": lambda path: path.symlink_to(path),
}


@pytest.mark.parametrize("kind", UNFIT)
def test_only_regular_files_are_opened(kind: str, folder: Path) -> None:
    UNFIT[kind](folder / "a.png")
    with pytest.raises(ValueError, match=r"a\.png is no picture that can be read \(no regular file\)"):
        read_images(folder, GREY)


def test_large_file_is_not_opened(folder: Path) -> None:
    with (folder / "a.png").open("wb") as file:
        file.write(saved("PNG"))
        file.truncate(1 << 40)
    with pytest.raises(ValueError, match=r"a\.png is no picture that can be read \(more than 16,777,216 bytes\)"):
        read_images(folder, GREY)


def test_number_of_pictures_is_bounded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        DIGIT.save(folder / f"{number}.png")
    monkeypatch.setattr(pictures, "MAX_VALUES", 2 * 64)
    with pytest.raises(ValueError, match=r"has 3 pictures, more than the 2 that are read at once; .* -n"):
        read_images(folder, GREY)
    assert read_images(folder, GREY, limit=2).shape == (2, *GREY)


def test_nearly_black_pictures_are_refused(folder: Path) -> None:
    """A mask saved as levels 0 and 1."""
    Image.fromarray((LEVELS > 127).astype(np.uint8)).save(folder / "a.png")
    with pytest.raises(ValueError, match="whole numbers are levels 0 to 255"):
        read_images(folder, GREY)


def test_help_tells_what_becomes_of_transparency(capfd: Any) -> None:
    for command in ("encode", "interpolate"):
        assert main([command, "--help"]) == 0
        assert "on black" in " ".join(capfd.readouterr().out.split())
