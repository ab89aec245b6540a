"""MNIST and Fashion-MNIST, and the published binary MNIST."""

import gzip
import hashlib
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision.datasets
from gumbelzoo.data.images import mnist

RNG = np.random.default_rng(0)


@pytest.fixture
def idx_files(tmp_path, monkeypatch, put):
    """Twelve training and five test images under ``<class>/raw``."""

    def write(name):
        arrays, resources = [], []
        for part, n in (("train", 12), ("t10k", 5)):
            arrays += [RNG.integers(0, 256, (n, 28, 28), dtype=np.uint8), np.arange(n, dtype=np.uint8) % 10]
            for kind, array in (("images-idx3", arrays[-2]), ("labels-idx1", arrays[-1])):
                header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
                file = f"{part}-{kind}-ubyte.gz"
                resources.append((file, put(tmp_path / name / "raw" / file, gzip.compress(header + array.tobytes()))))
        monkeypatch.setattr(getattr(torchvision.datasets, name), "resources", resources)
        return arrays

    return write


@pytest.fixture
def published(tmp_path):
    """The format of the published file, with four, two and three images."""
    path = tmp_path / "mnist_static/mnist_salakhutdinov.npz"
    path.parent.mkdir()
    bits = {
        split: RNG.integers(0, 2, (n, 784), dtype=np.uint8) for split, n in (("train", 4), ("valid", 2), ("test", 3))
    }
    arrays = {f"{split}_x": np.packbits(array, axis=1) for split, array in bits.items()}
    arrays |= {f"{split}_y": np.arange(len(array), dtype=np.uint8) for split, array in bits.items()}
    np.savez(path, **arrays)
    return path, bits, arrays


@pytest.mark.parametrize(("name", "folder"), [("mnist", "MNIST"), ("fashion_mnist", "FashionMNIST")])
def test_last_sixth_is_validation(tmp_path, idx_files, read_set, sizes, name, folder):
    images, labels, test_images, _ = idx_files(folder)
    splits = read_set(name, tmp_path, published=True)
    assert sizes(splits) == (10, 2, 5)
    assert np.array_equal(splits.train.images[:, 0].numpy(), images[:10])
    assert splits.valid.labels.tolist() == labels[10:].tolist()
    assert np.array_equal(splits.test.images[:, 0].numpy(), test_images)
    assert splits.binarized is None


def test_missing_mnist_names_the_file(tmp_path, read_set):
    with pytest.raises(FileNotFoundError, match=r"MNIST/raw/train-images-idx3-ubyte\.gz is missing") as error:
        read_set("mnist", tmp_path)
    assert "\n" not in str(error.value)
    assert "GUMBELZOO_DATA" in str(error.value)


def test_published_mnist_is_for_static_only(tmp_path, published, idx_files, read_set, sizes):
    _, bits, _ = published
    idx_files("MNIST")
    splits = read_set("mnist", tmp_path, published=True)
    assert sizes(splits) == (4, 2, 3)
    assert np.array_equal(splits.test.images.reshape(3, 784).numpy(), bits["test"] * 255)
    assert "Salakhutdinov" in splits.binarized
    assert sizes(read_set("mnist", tmp_path)) == (10, 2, 5)


@pytest.mark.parametrize(
    "change",
    [
        {"test_x": None},
        {"train_x": np.zeros((4, 784), np.uint8)},
        {"train_x": np.zeros((4, 98), np.int32)},
        {"valid_y": np.zeros(9, np.uint8)},
        {"valid_y": np.zeros(2)},
    ],
    ids=["missing array", "not packed", "not bytes", "another length", "float labels"],
)
def test_malformed_published_mnist_raises(tmp_path, published, read_set, change):
    path, _, arrays = published
    np.savez(path, **{name: array for name, array in (arrays | change).items() if array is not None})
    with pytest.raises(ValueError, match="replace it") as error:
        read_set("mnist", tmp_path, published=True)
    assert str(path) in str(error.value)


@pytest.fixture
def moved(tmp_path, idx_files, monkeypatch):
    """Moves the original files of a data set into another folder, under other names and unpacked or not."""

    def move(name, folder, pattern, packed):
        arrays = idx_files(name)
        for file, md5 in getattr(torchvision.datasets, name).resources:
            original = tmp_path / name / "raw" / file
            content = gzip.decompress(original.read_bytes())
            monkeypatch.setitem(mnist.UNPACKED, md5, hashlib.md5(content).hexdigest())
            target = tmp_path / folder / pattern.format(*file.removesuffix(".gz").split("-idx", 1))
            original.unlink()
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(gzip.compress(content, 1) if packed else content)
        return arrays

    return move


@pytest.mark.parametrize(
    ("name", "official", "folder", "pattern", "packed"),
    [
        ("mnist", "MNIST", "MNIST/raw", "{}-idx{}", False),
        ("mnist", "MNIST", "mnist", "{}.idx{}", False),
        ("mnist", "MNIST", "MNIST", "{}.idx{}.gz", True),
        ("mnist", "MNIST", "mnist/raw", "{}-idx{}.gz", True),
        ("fashion_mnist", "FashionMNIST", "fashion-mnist", "{}-idx{}", False),
        ("fashion_mnist", "FashionMNIST", "fashion_mnist/raw", "{}-idx{}.gz", True),
    ],
)
def test_other_names_and_folders(tmp_path, moved, read_set, sizes, name, official, folder, pattern, packed):
    """As other programs leave them: taken for what they are, and named as the source."""
    images = moved(official, folder, pattern, packed)[0]
    splits = read_set(name, tmp_path)
    assert sizes(splits) == (10, 2, 5)
    assert np.array_equal(splits.train.images[:, 0].numpy(), images[:10])
    assert pattern.format("train-images", "3-ubyte") in splits.source


@pytest.mark.parametrize("content", [b"", b"another file", gzip.compress(bytes(1000))], ids=["empty", "text", "gzip"])
def test_other_content_is_named(tmp_path, moved, read_set, content):
    moved("MNIST", "mnist", "{}-idx{}.gz", packed=True)
    (tmp_path / "mnist/t10k-images-idx3-ubyte.gz").write_bytes(content)
    with pytest.raises(ValueError, match=r"mnist/t10k-images-idx3-ubyte\.gz is .*move it away") as error:
        read_set("mnist", tmp_path)
    assert "\n" not in str(error.value)


def test_unpacked_size_is_bounded(tmp_path, moved, read_set, monkeypatch):
    """A small file that unpacks to gigabytes is not unpacked."""
    moved("MNIST", "mnist", "{}-idx{}.gz", packed=True)
    monkeypatch.setattr("gumbelzoo.data.storage.IDX_BYTES", 1000)
    with pytest.raises(ValueError, match="is another file than the original"):
        read_set("mnist", tmp_path)


@pytest.mark.real_data
@pytest.mark.parametrize("name", ["MNIST", "FashionMNIST"])
def test_real_unpacked_checksums(real, name):
    for file, md5 in getattr(torchvision.datasets, name).resources:
        content = gzip.decompress((Path(real(f"{name}/raw")) / name / "raw" / file).read_bytes())
        assert hashlib.md5(content).hexdigest() == mnist.UNPACKED[md5]


@pytest.mark.real_data
def test_real_published_mnist(real, read_set, sizes):
    splits = read_set("mnist", real("mnist_static/mnist_salakhutdinov.npz"), published=True)
    assert sizes(splits) == (50_000, 10_000, 10_000)
    assert splits.train.images.unique().tolist() == [0, 255]
    assert splits.train.images.float().mean() / 255 == pytest.approx(0.1306, abs=1e-3)


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "folder", "mean"), [("mnist", "MNIST", 0.1307), ("fashion_mnist", "FashionMNIST", 0.2860)]
)
def test_real_idx_files(real, read_set, sizes, name, folder, mean):
    splits = read_set(name, real(f"{folder}/raw"))
    assert sizes(splits) == (50_000, 10_000, 10_000)
    both = torch.cat([splits.train.images, splits.valid.images])
    assert both.double().mean() / 255 == pytest.approx(mean, abs=1e-4)
    assert splits.test.labels.unique().tolist() == list(range(10))
