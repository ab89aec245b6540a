"""Arrays of users: every unfit one is a line that says what to do, before its memory is taken."""

from __future__ import annotations

import resource
import struct
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gumbelzoo.commands.files import arrays
from gumbelzoo.commands.files.arrays import read_array, read_codes
from gumbelzoo.commands.files.outputs import write_rows
from gumbelzoo.commands.files.pictures import Images, read_images
from gumbelzoo.train import main

pytestmark = pytest.mark.filterwarnings("error")
SHAPE = (3, 8, 6)
LEVELS = np.random.default_rng(0).integers(0, 256, (2, *SHAPE))


def images(array: Any) -> Callable[[Path], object]:
    return lambda path: np.savez(path, images=array)


UNFIT: dict[str, tuple[Callable[[Path], object], str]] = {
    "whole numbers 0 and 1": (images((LEVELS > 127).astype(np.int64)), "multiply them by 255, or store them as floats"),
    "bytes 0 and 1": (images((LEVELS > 127).astype(np.uint8)), "multiply them by 255, or store them as floats"),
    "levels beyond 255": (images(LEVELS + 1000), "integers are levels 0 to 255"),
    "negative levels": (images(LEVELS - 128), "integers are levels 0 to 255"),
    "channels last": (
        images(LEVELS.transpose(0, 2, 3, 1)),
        r"channels come first, as in `images.transpose\(0, 3, 1, 2",
    ),
    "no batch axis": (images(LEVELS[0]), r"one image of shape \(3, 8, 6\): the first axis must be the images"),
    "neither batch nor first channels": (images(LEVELS[0].transpose(1, 2, 0)), "the first axis must be the images"),
    "another size": (images(LEVELS[..., :5]), r"images of shape \(3, 8, 5\), the model takes \(3, 8, 6\); resize them"),
    "a number": (images(np.float32(3)), r"images of shape \(\)"),
    "none": (images(LEVELS[:0]), "has no images"),
    "NaN": (images(np.where(LEVELS.max() == LEVELS, np.nan, LEVELS / 255)), r"NaN among its values; .* in \[0, 1\]"),
    "infinity": (images(np.where(LEVELS.max() == LEVELS, np.inf, LEVELS / 255)), r"outside \[0, 1\].* `/ 255`"),
    "floats to 255": (images(LEVELS.astype(np.float32)), r"outside \[0, 1\], from 0 to 255; .* `/ 255`"),
    "floats from -1": (images(LEVELS / 127.5 - 1), r"store \(images \+ 1\) / 2"),
    "complex numbers": (images(LEVELS / 255 + 0j), "'images' holds complex numbers, not real numbers"),
    "time spans": (images(LEVELS.astype("m8[s]")), "'images' holds time spans, not real numbers"),
    "dates": (images(LEVELS.astype("M8[s]")), "'images' holds dates, not real numbers"),
    "texts": (images(LEVELS.astype(str)), "'images' holds texts, not real numbers"),
    "objects": (images(LEVELS.astype(object)), "'images' holds objects, not real numbers"),
    "records": (images(np.zeros(3, [("a", "f4")])), "'images' holds records, not real numbers"),
}


@pytest.mark.parametrize("name", UNFIT)
def test_unfit_array_is_named(name: str, tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    UNFIT[name][0](path)
    with pytest.raises(ValueError, match=rf"^[^\n]*a\.npz[^\n]*{UNFIT[name][1]}[^\n]*$"):
        read_images(path, SHAPE)


@pytest.mark.parametrize(
    "array",
    [LEVELS / 255, (LEVELS / 255).astype(np.float16), LEVELS.astype(np.uint8), LEVELS, np.asfortranarray(LEVELS / 255)],
    ids=["float64", "float16", "uint8", "int64", "by columns"],
)
def test_fit_array_is_read(array: np.ndarray, tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", other=np.zeros(3), images=array)
    for limit in (None, 1, 10**12):
        read = read_images(tmp_path / "a.npz", SHAPE, limit)
        assert read.dtype == torch.float32
        torch.testing.assert_close(read, torch.from_numpy(LEVELS[:limit] / 255).float(), atol=1e-3, rtol=0)


def test_booleans_and_black_are_images(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=LEVELS > 127)
    assert read_images(tmp_path / "a.npz", SHAPE).unique().tolist() == [0, 1]
    np.savez(tmp_path / "a.npz", images=np.zeros_like(LEVELS))
    assert not read_images(tmp_path / "a.npz", SHAPE).any()


def test_levels_are_told_by_all_parts(tmp_path: Path) -> None:
    """A part of black images among others is no mistake; a part of other values is none of the first ones."""
    dark = np.zeros((5, *SHAPE), np.uint8)
    dark[1] = 1
    np.savez(tmp_path / "a.npz", images=np.concatenate([dark, LEVELS.astype(np.uint8)]))
    read = [*Images(tmp_path / "a.npz", SHAPE).parts(2)]
    assert [len(part) for part in read] == [2, 2, 2, 1]
    assert torch.equal(torch.cat(read), read_images(tmp_path / "a.npz", SHAPE))
    np.savez(tmp_path / "b.npz", images=np.concatenate([dark, dark + 1]))
    assert len(Images(tmp_path / "b.npz", SHAPE)) == 10
    np.savez(tmp_path / "c.npz", images=np.concatenate([LEVELS / 255] * 300 + [LEVELS]))
    with pytest.raises(ValueError, match=r"from 0 to 255; .* `/ 255`"):
        Images(tmp_path / "c.npz", SHAPE)


def test_rows_are_written_as_one_array(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Part by part, with the content that NumPy writes; nothing is left of a part that fails."""
    for array in (np.arange(14).reshape(7, 2), LEVELS / 255, np.zeros((3, 1), np.float32)):
        write_rows(tmp_path / "a.npz", "codes", len(array), iter(np.array_split(array, 3)))
        written = np.load(tmp_path / "a.npz")["codes"]
        assert (written.dtype, written.shape) == (array.dtype, array.shape) and np.array_equal(written, array)
        assert capsys.readouterr().out.endswith(f"a.npz  {array.shape}\n")
    before = (tmp_path / "a.npz").read_bytes()
    with pytest.raises(ZeroDivisionError):
        write_rows(tmp_path / "a.npz", "codes", 9, (array[: 1 // (2 - number)] for number in range(3)))
    assert (tmp_path / "a.npz").read_bytes() == before and len(list(tmp_path.iterdir())) == 1


def header(shape: tuple[int, ...], dtype: str = "<f4") -> bytes:
    buffer = BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": dtype, "fortran_order": False, "shape": shape})
    return buffer.getvalue()


def npz(path: Path, content: bytes, zeros: int = 0, **options: Any) -> None:
    with zipfile.ZipFile(path, "w", **{"compression": zipfile.ZIP_DEFLATED, **options}) as archive:
        with archive.open("images.npy", "w", force_zip64=True) as file:
            file.write(content)
            for _ in range(zeros >> 20):
                file.write(bytes(1 << 20))


def encrypted(path: Path) -> None:
    npz(path, header((1, *SHAPE)) + bytes(576), compression=zipfile.ZIP_STORED)
    content = bytearray(path.read_bytes())
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(mark) + place] |= 1
    path.write_bytes(content)


def unknown_compression(path: Path) -> None:
    npz(path, header((1, *SHAPE)) + bytes(576), compression=zipfile.ZIP_STORED)
    content = bytearray(path.read_bytes())
    for mark, place in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        start = content.index(mark) + place
        content[start : start + 2] = struct.pack("<H", 97)
    path.write_bytes(content)


def damaged(path: Path) -> None:
    np.savez_compressed(path, images=LEVELS)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)


def members(path: Path) -> None:
    """A directory of members that are not there; each takes several hundred bytes of memory."""
    entry = b"PK\x01\x02" + bytes(24) + struct.pack("<H", 7) + bytes(16)
    count, content = 100_000, b"".join(entry + b"%07d" % number for number in range(100_000))
    record = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, len(content), 0)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, len(content), 1)
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    path.write_bytes(content + record + locator + end)


BOMBS: dict[str, tuple[Callable[[Path], object], str]] = {
    "gigabytes of zeros": (
        lambda path: npz(path, header((1 << 29,)), 2 << 30),
        "536,870,912 values in 2,147,483,648 bytes",
    ),
    "a hundred thousand members": (members, "its directory is larger than 4,194,304 bytes"),
    "a huge claimed shape": (lambda path: npz(path, header((10**6, 10**6, 10**6))), "claims the shape"),
    "a shape that overflows": (lambda path: npz(path, header((1 << 62, 4))), "claims the shape"),
    "a negative shape": (lambda path: npz(path, header((-1, 3))), "claims the shape"),
    "fewer values": (lambda path: npz(path, header((2, *SHAPE)) + bytes(576)), "claims the shape"),
    "encrypted": (encrypted, "it is encrypted"),
    "an unknown compression": (unknown_compression, "its compression is none of NumPy's"),
    "LZMA": (lambda path: npz(path, header((3,)), compression=zipfile.ZIP_LZMA), "its compression is none of NumPy's"),
    "damaged": (damaged, "is no .npz file of plain arrays"),
    "a header that calls": (lambda path: npz(path, b"\x93NUMPY\x01\0\x10\0__import__('os')"), "no .npz file of plain"),
    "a later version": (lambda path: npz(path, b"\x93NUMPY\x09\0\x10\0"), "plain arrays"),
    "no array": (lambda path: npz(path, b"hello"), "no .npz file of plain arrays"),
    "no zip": (lambda path: path.write_bytes(b"PK\x03\x04"), "no .npz file of plain arrays"),
    "half a zip": (lambda path: (damaged(path), path.write_bytes(path.read_bytes()[:-9])), "no .npz file of plain"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_bomb_takes_no_memory(name: str, tmp_path: Path) -> None:
    """Sizes are read from headers, and bounded."""
    path = tmp_path / "a.npz"
    BOMBS[name][0](path)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ValueError, match=rf"^[^\n]*a\.npz[^\n]*{BOMBS[name][1]}[^\n]*$"):
        read_array(path, "images")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # kilobytes


def test_first_rows_of_a_large_array(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez(tmp_path / "a.npz", codes=np.arange(3000).reshape(1000, 3))
    monkeypatch.setattr(arrays, "MAX_VALUES", 30)
    with pytest.raises(ValueError, match=r"has 3,000 values .* give a part with -n"):
        read_codes(tmp_path / "a.npz")
    assert torch.equal(read_codes(tmp_path / "a.npz", 10), torch.arange(30).reshape(10, 3))


@pytest.mark.parametrize(
    "array",
    [
        np.zeros(3) + 1j,
        np.zeros(3, "m8[s]"),
        np.full(3, 1 << 63, np.uint64),
        np.ones(3, bool),
        np.int8(3),
        np.full(3, 1e39),
        np.full(3, np.nan),
    ],
)
def test_codes_are_numbers(array: np.ndarray, vae: Path, capfd: Any) -> None:
    np.savez("codes.npz", codes=array)
    assert main(["decode", str(vae), "codes.npz"]) == 2
    error = capfd.readouterr().err
    assert "'codes'" in error and error.count("\n") == 1


def test_pipe_for_an_array_is_refused(vae: Path, capfd: Any) -> None:
    import os

    os.mkfifo("pipe.npz")
    assert main(["encode", str(vae), "--images", "pipe.npz"]) == 2
    assert "'pipe.npz' is no regular file; give an .npz file with 'images'" in capfd.readouterr().err
