"""Files are found, downloaded and read; every error is one line that names the file and the fix."""

import gzip
import hashlib
import os
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
from gumbelzoo.data.storage import (
    Folders,
    is_writable,
    read_idx,
    read_npz,
    read_verified,
    unpickle_arrays,
    user_cache,
)


def md5(content):
    return hashlib.md5(content).hexdigest()


def idx(array, magic=b"\0\0\x08"):
    return magic + bytes([array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


ARRAY = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)


def one_line(error, path):
    message = str(error.value)
    assert "\n" not in message
    assert str(path) in message
    return message


def test_idx_is_read_without_unpacking(tmp_path):
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(idx(ARRAY)))
    assert np.array_equal(read_idx(path, md5(path.read_bytes())), ARRAY)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "content",
    [
        gzip.compress(idx(ARRAY))[:-12],
        idx(ARRAY),
        gzip.compress(idx(ARRAY, b"\0\0\x0d")),
        gzip.compress(idx(ARRAY)[:-1]),
        gzip.compress(b"\0\0"),
        b"",
    ],
    ids=["truncated", "not gzip", "magic", "too short", "no header", "empty"],
)
def test_broken_idx_raises(tmp_path, content):
    path = tmp_path / "x.gz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="delete it") as error:
        read_idx(path, md5(content))
    one_line(error, path)


def test_wrong_checksum_raises(tmp_path):
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(idx(ARRAY)))
    with pytest.raises(ValueError, match="corrupt") as error:
        read_idx(path, "0" * 32)
    assert "delete it" in one_line(error, path)


def test_npz_names_types_and_shapes_are_checked(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, a=ARRAY, b=ARRAY.astype(float), label=np.arange(2))
    assert np.array_equal(read_npz(path, a=(3, 4), label=())["a"], ARRAY)
    for shapes in ({"missing": ()}, {"a": (4, 3)}, {"b": (3, 4)}, {"label": (1,)}):
        with pytest.raises(ValueError, match="replace it") as error:
            read_npz(path, **shapes)
        assert next(iter(shapes)) in one_line(error, path)


class Trap:
    """An object whose pickle makes a folder when it is read."""

    def __init__(self, folder):
        self.folder = str(folder)

    def __reduce__(self):
        return os.mkdir, (self.folder,)


def test_npz_is_never_unpickled(tmp_path):
    trap = Trap(tmp_path / "trapped")
    path = tmp_path / "x.npz"
    np.savez(path, a=np.array([trap], dtype=object))
    plain = tmp_path / "y.npz"
    plain.write_bytes(pickle.dumps(trap))
    single = tmp_path / "z.npz"
    with single.open("wb") as file:
        np.save(file, ARRAY)
    for name in (path, plain, single):
        with pytest.raises(ValueError, match="replace it") as error:
            read_npz(name, a=())
        one_line(error, name)
    assert not (tmp_path / "trapped").exists()


@pytest.mark.parametrize("protocol", range(5))
@pytest.mark.parametrize("old_numpy", [False, True])
def test_arrays_are_unpickled(protocol, old_numpy):
    """In plain containers, whichever NumPy wrote them."""
    content = pickle.dumps({"data": ARRAY, "labels": [1, 2], "floats": [np.float32([0.5]), "text"]}, protocol)
    if old_numpy and protocol < 4:
        content = content.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    read = unpickle_arrays(content)
    assert np.array_equal(read["data"], ARRAY) and read["data"].dtype == np.uint8
    assert read["labels"] == [1, 2]
    assert read["floats"] == [np.float32([0.5]), "text"]


def test_only_arrays_are_unpickled(tmp_path):
    for content in (Trap(tmp_path / "trapped"), np.array([Trap(tmp_path / "trapped")], dtype=object), print):
        with pytest.raises(ValueError, match="no NumPy array needs"):
            unpickle_arrays(pickle.dumps(content, protocol=2))
    assert not (tmp_path / "trapped").exists()
    with pytest.raises(ValueError, match="not a pickle of NumPy arrays"):
        unpickle_arrays(b"no pickle")


def test_truncated_npz_raises(tmp_path):
    path = tmp_path / "x.npz"
    np.savez_compressed(path, a=np.random.default_rng(0).integers(0, 9, (1000, 3)))
    content = path.read_bytes()
    broken = bytearray(content)
    broken[500] ^= 255
    for damaged in (content[:500], bytes(broken), b""):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="corrupt") as error:
            read_npz(path, a=(3,))
        one_line(error, path)


def test_order_of_roots(tmp_path, monkeypatch):
    """The argument, then GUMBELZOO_DATA, then the user's cache folder."""
    assert Folders().root == user_cache() == tmp_path / "cache" / "gumbelzoo"
    monkeypatch.setenv("GUMBELZOO_DATA", str(tmp_path / "variable"))
    assert Folders().root == tmp_path / "variable"
    assert Folders(str(tmp_path / "argument")).root == tmp_path / "argument"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert user_cache().parts[-2:] == (".cache", "gumbelzoo")


def test_find_searches_root_then_cache(tmp_path):
    folders = Folders(str(tmp_path / "root"))
    assert folders.find("a/b") is None
    cached = user_cache() / "a/b"
    cached.parent.mkdir(parents=True)
    cached.touch()
    assert folders.find("c", "a/b") == cached
    own = tmp_path / "root/a/b"
    own.parent.mkdir(parents=True)
    own.touch()
    assert folders.find("a/b") == own


def test_interrupted_download_leaves_no_file(tmp_path, monkeypatch):
    asked = []

    def download(url, root, filename, md5):
        asked.append(url)
        Path(root, filename).write_bytes(b"half")
        if url == "first":
            raise RuntimeError("File not found\nor corrupted.")
        Path(root, filename).write_bytes(b"half and half")

    monkeypatch.setattr("torchvision.datasets.utils.download_url", download)
    folders = Folders(str(tmp_path / "root"))
    with pytest.raises(FileNotFoundError, match="download failed") as error:
        folders.fetch("x/y.gz", ["first"], "")
    one_line(error, tmp_path / "root/x/y.gz")
    assert not (tmp_path / "root").exists()
    path = folders.fetch("x/y.gz", ["first", "second"], "")
    assert (path, path.read_bytes()) == (tmp_path / "root/x/y.gz", b"half and half")
    assert folders.fetch("x/y.gz", ["third"], "") == path
    assert asked == ["first", "first", "second"]


def test_read_only_root_downloads_to_the_cache(tmp_path, monkeypatch):
    def download(url, root, filename, md5):
        Path(root, filename).touch()

    monkeypatch.setattr("torchvision.datasets.utils.download_url", download)
    monkeypatch.setattr("gumbelzoo.data.storage.is_writable", lambda folder: False)
    assert Folders(str(tmp_path / "root")).fetch("x/y.gz", ["url"], "") == user_cache() / "x/y.gz"
    assert not (tmp_path / "root").exists()


def test_is_writable(tmp_path):
    (tmp_path / "file").touch()
    assert not is_writable(tmp_path / "file")
    assert not is_writable(tmp_path / "file" / "below")
    assert is_writable(tmp_path / "new" / "below")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("error", [OSError("no network"), RuntimeError("File not found\nor corrupted.")])
def test_failed_download_makes_no_folder(tmp_path, monkeypatch, error):
    """A mistyped root leaves no tree behind; folders that were there stay."""

    def download(url, root, filename, md5):
        raise error

    monkeypatch.setattr("torchvision.datasets.utils.download_url", download)
    (tmp_path / "dat").mkdir()
    with pytest.raises(FileNotFoundError, match="download failed"):
        Folders(str(tmp_path / "dat/notthere")).fetch("MNIST/raw/x.gz", ["first", "second"], "")
    assert list((tmp_path / "dat").iterdir()) == []


def test_named_pipe_is_no_file(tmp_path):
    """Opening one would wait for ever."""
    (tmp_path / "a").mkdir()
    os.mkfifo(tmp_path / "a/b")
    folders = Folders(str(tmp_path))
    for name, folder in (("a/b", False), ("a/b", True), ("a", False)):
        with pytest.raises(ValueError, match=r"is no (folder|regular file); move it away"):
            folders.find(name, folder=folder)
    with pytest.raises(ValueError, match="is no regular file"):
        read_verified(tmp_path / "a/b", "")
    assert folders.find("a", folder=True) == tmp_path / "a"
