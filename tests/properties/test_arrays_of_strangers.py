"""Arrays in .npz files: every type, shape, value, header and zip."""

from __future__ import annotations

import struct
import warnings
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gumbelzoo.commands.files.arrays import read_codes
from gumbelzoo.commands.files.pictures import read_images
from gumbelzoo.tests.pretrained.changes import Bomb
from gumbelzoo.tests.properties.harness import check, command, contents, examples, refusal
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

SHAPE = (1, 8, 8)
TYPES = st.one_of(
    arrays.scalar_dtypes(),
    arrays.nested_dtypes(max_itemsize=64),
    st.sampled_from([np.dtype(name) for name in ("f2", "f4", ">f8", "g", "u1", "i8", ">i2", "?", "O", "V3", "c8")]),
)
SHAPES = st.one_of(
    st.sampled_from([(2, *SHAPE), (2, 8, 8), (2, 8, 8, 1), SHAPE, (8, 8), (0, *SHAPE), (2, 3), (3,), ()]),
    arrays.array_shapes(min_dims=0, max_dims=6, max_side=5),
)
NAMES = st.sampled_from(["images", "codes", "images.npy", "a/images", "", "IMAGES", "../images"])
HEADERS = st.one_of(
    st.binary(max_size=100),
    st.tuples(
        st.sampled_from(["<f4", "|u1", ">i8", "|O", "<U5", "<M8[s]", "<f16", "x", "|V0", "<c8", "|S0", "<U0", "|b1"]),
        st.sampled_from(["False", "True", "None", "0"]),
        st.lists(st.integers(-3, 5) | st.sampled_from([1 << 31, 1 << 62, 10**30]), max_size=5).map(tuple)
        | st.sampled_from(
            ["(2, 1, 8, 8", "[2]", "2", "(2.5,)", "(True, 16)", "(__import__('os').system('touch ran'),)"]
        ),
        st.integers(0, 1 << 12),
        st.sampled_from([(1, 0), (2, 0), (3, 0), (9, 9)]),
    ).map(lambda parts: _npy(*parts)),
)


def _npy(descr: str, order: str, shape: Any, size: int, version: tuple[int, int]) -> bytes:
    """An .npy file that claims a type and a shape, with zeros for its values."""
    text = f"{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}".encode()
    length = struct.pack("<H" if version == (1, 0) else "<I", len(text))
    return b"\x93NUMPY" + bytes(version) + length + text + bytes(size)


def _zip(name: str, content: bytes, method: int, flips: list[tuple[int, int]], cut: int) -> bytes:
    """A zip with one member, some of its bytes changed, and cut short."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr(name, content)
    data = bytearray(buffer.getvalue())
    for place, value in flips:
        data[place % len(data)] ^= value
    return bytes(data[: len(data) - cut] if cut else data)


def _saved(name: str, array: np.ndarray, packed: bool) -> bytes:
    buffer = BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a later version of the format
        (np.savez_compressed if packed else np.savez)(buffer, **{name or "x": array})
    return buffer.getvalue()


NPZ = st.one_of(
    st.binary(max_size=200),
    st.tuples(NAMES, TYPES.flatmap(lambda kind: _arrays(kind)), st.booleans()).map(lambda parts: _saved(*parts)),
    st.tuples(
        st.sampled_from(["images.npy", "codes.npy", "images", "images.npy/", "x"]),
        HEADERS,
        st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]),
        st.lists(st.tuples(st.integers(0, 1 << 12), st.integers(1, 255)), max_size=3),
        st.sampled_from([0, 0, 0, 1, 10, 30, 60]),
    ).map(lambda parts: _zip(*parts)),
)


def _arrays(kind: np.dtype) -> st.SearchStrategy[np.ndarray]:
    if kind.hasobject:
        return SHAPES.map(lambda shape: np.full(shape, Bomb(), "O"))
    if kind.kind == "V" and kind.names is None:
        return SHAPES.map(lambda shape: np.zeros(shape, kind))
    return SHAPES.flatmap(lambda shape: arrays.arrays(kind, shape))


@examples(50, 4000)
def test_npz_is_read_or_refused(examples: int, tmp_path: Path) -> None:
    """Images are finite floats in [0, 1]; codes are int64 or float32. Nothing is unpickled."""
    path = tmp_path / "a.npz"

    def holds(content: bytes) -> None:
        path.write_bytes(content)
        found: list[torch.Tensor] = []
        if refusal(lambda: found.append(read_images(path, SHAPE)), names="a.npz") is None:
            images = found.pop()
            assert images.dtype == torch.float32 and images.shape[1:] == SHAPE
            assert float(images.min()) >= 0 and float(images.max()) <= 1
        if refusal(lambda: found.append(read_codes(path)), names="a.npz") is None:
            assert found[0].dtype in (torch.int64, torch.float32)
        assert contents(tmp_path) == {"a.npz": content}

    check(examples, holds, NPZ, [_saved("codes", np.zeros((1, 1, 8, 8), np.float16), False)])


@examples(10, 500)
def test_commands_take_npz_or_refuse_it(examples: int, releases: dict[str, Path], workspace: Path) -> None:
    """What was under the output's name stays if anything is refused; an input is no output."""
    path, out = workspace / "a.npz", workspace / "out.npz"

    def holds(given: tuple[str, bytes]) -> None:
        verb, content = given
        path.write_bytes(content)
        out.write_bytes(b"before")
        before = contents(workspace)
        options = ["--images", str(path)] if verb == "encode" else [str(path)]
        said = command([verb, str(releases["vae"]), *options, "--out", str(out)])
        after = contents(workspace)
        assert after == before if said else after.keys() == before.keys()
        assert "which is not overwritten" in command([verb, str(releases["vae"]), *options, "--out", str(path)])
        assert contents(workspace) == after

    kept = [("decode", _saved("codes", np.zeros((), np.int8), False))]
    check(examples, holds, st.tuples(st.sampled_from(["encode", "decode"]), NPZ), kept)
