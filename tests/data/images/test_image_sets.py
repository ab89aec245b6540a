"""Each reader on tiny files of the real form, and on the real files where GUMBELZOO_DATA has them."""

import gzip
import hashlib
import io
import pickle
import struct
import tarfile
import zipfile

import numpy as np
import pytest
import torch
import torchvision.datasets
from gumbelzoo.data.images import cifar10, omniglot
from gumbelzoo.data.images.splits import IMAGE_SETS
from gumbelzoo.data.storage import Folders
from PIL import Image

RNG = np.random.default_rng(0)


def put(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return hashlib.md5(content).hexdigest()


def read(name, root, published=False):
    splits = IMAGE_SETS[name].read(Folders(str(root)), published)
    for split in (splits.train, splits.valid, splits.test):
        assert split.images.dtype == torch.uint8
        assert split.labels.dtype == torch.int64
        assert split.images.shape == (len(split), *IMAGE_SETS[name].shape)
    return splits


def sizes(splits):
    return len(splits.train), len(splits.valid), len(splits.test)


@pytest.fixture
def idx_files(tmp_path, monkeypatch):
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


@pytest.mark.parametrize(("name", "folder"), [("mnist", "MNIST"), ("fashion_mnist", "FashionMNIST")])
def test_idx_sets_hold_out_the_last_sixth(tmp_path, idx_files, name, folder):
    images, labels, test_images, _ = idx_files(folder)
    splits = read(name, tmp_path, published=True)
    assert sizes(splits) == (10, 2, 5)
    assert np.array_equal(splits.train.images[:, 0].numpy(), images[:10])
    assert splits.valid.labels.tolist() == labels[10:].tolist()
    assert np.array_equal(splits.test.images[:, 0].numpy(), test_images)
    assert splits.binarized is None


def test_mnist_missing_is_one_line_that_names_the_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"MNIST/raw/train-images-idx3-ubyte\.gz is missing") as error:
        read("mnist", tmp_path)
    assert "\n" not in str(error.value)
    assert "GUMBELZOO_DATA" in str(error.value)


@pytest.fixture
def published(tmp_path):
    """The form of the literature's file, with four, two and three images."""
    path = tmp_path / "mnist_static/mnist_salakhutdinov.npz"
    path.parent.mkdir()
    bits = {
        split: RNG.integers(0, 2, (n, 784), dtype=np.uint8) for split, n in (("train", 4), ("valid", 2), ("test", 3))
    }
    arrays = {f"{split}_x": np.packbits(array, axis=1) for split, array in bits.items()}
    arrays |= {f"{split}_y": np.arange(len(array), dtype=np.uint8) for split, array in bits.items()}
    np.savez(path, **arrays)
    return path, bits, arrays


def test_published_mnist_is_used_for_static_only(tmp_path, published, idx_files):
    _, bits, _ = published
    idx_files("MNIST")
    splits = read("mnist", tmp_path, published=True)
    assert sizes(splits) == (4, 2, 3)
    assert np.array_equal(splits.test.images.reshape(3, 784).numpy(), bits["test"] * 255)
    assert "Salakhutdinov" in splits.binarized
    assert sizes(read("mnist", tmp_path)) == (10, 2, 5)


@pytest.mark.parametrize(
    "change",
    [
        {"test_x": None},
        {"train_x": np.zeros((4, 784), np.uint8)},
        {"train_x": np.zeros((4, 98), np.int32)},
        {"valid_y": np.zeros(9, np.uint8)},
        {"valid_y": np.zeros(2)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_published_mnist_of_another_form_is_refused(tmp_path, published, change):
    path, _, arrays = published
    np.savez(path, **{name: array for name, array in (arrays | change).items() if array is not None})
    with pytest.raises(ValueError, match="replace it") as error:
        read("mnist", tmp_path, published=True)
    assert str(path) in str(error.value)


def test_area_weights_keep_the_amount_of_ink():
    weights = omniglot.area_weights(105, 28)
    assert torch.allclose(weights.sum(1), torch.ones(28))
    assert torch.allclose(weights.sum(0), torch.full((105,), 28 / 105))
    assert torch.equal(omniglot.area_weights(6, 3), torch.eye(3).repeat_interleave(2, 1) / 2)


def test_omniglot_packed_and_archive_agree(tmp_path, monkeypatch):
    ink = {"images_background": RNG.random((20, 105, 105)) < 0.1, "images_evaluation": RNG.random((6, 105, 105)) < 0.1}
    checksums = {}
    for half, images in ink.items():
        labels = np.arange(len(images)) // 2
        packed = np.packbits(images.reshape(len(images), -1), axis=1)
        (tmp_path / "packed/omniglot").mkdir(parents=True, exist_ok=True)
        np.savez(tmp_path / f"packed/omniglot/{half}_105.npz", images_packed=packed, char_index=labels)
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as file:
            for i, image in enumerate(images):
                png = io.BytesIO()
                Image.fromarray(~image).save(png, "png")
                file.writestr(f"{half}/Alphabet/character{labels[i]:02}/{i:04}.png", png.getvalue())
        checksums[half] = put(tmp_path / f"archive/omniglot-py/{half}.zip", archive.getvalue())
    monkeypatch.setattr(torchvision.datasets.Omniglot, "zips_md5", checksums)
    packed, archive = read("omniglot", tmp_path / "packed"), read("omniglot", tmp_path / "archive")
    assert sizes(packed) == sizes(archive) == (18, 2, 6)
    for name in ("train", "valid", "test"):
        assert torch.equal(getattr(packed, name).images, getattr(archive, name).images)
        assert torch.equal(getattr(packed, name).labels, getattr(archive, name).labels)
    assert packed.test.labels.tolist() == [10, 10, 11, 11, 12, 12]
    assert packed.test.images.float().mean() / 255 == pytest.approx(ink["images_evaluation"].mean(), abs=1e-3)


def test_an_omniglot_archive_of_something_else_is_refused(tmp_path, monkeypatch):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("a/b/c.png", b"no picture")
    for content in (archive.getvalue(), b"no archive"):
        path = tmp_path / "omniglot-py/images_background.zip"
        monkeypatch.setitem(torchvision.datasets.Omniglot.zips_md5, "images_background", put(path, content))
        with pytest.raises(ValueError, match="delete it") as error:
            read("omniglot", tmp_path)
        assert str(path) in str(error.value)


@pytest.fixture
def cifar(tmp_path, monkeypatch):
    """Four images in each of the six batches, in all three forms."""
    images = RNG.integers(0, 256, (6, 4, 3072), dtype=np.uint8)
    labels = RNG.integers(0, 10, (6, 4))
    names = [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]
    binary, pickled = {}, []
    with tarfile.open(tmp_path / "cifar-10-python.tar.gz", "w:gz") as archive:
        for name, pixels, classes in zip(names, images, labels, strict=True):
            records = np.concatenate([classes[:, None].astype(np.uint8), pixels], axis=1)
            folder = "cifar10/cifar-10-batches-bin"
            binary[f"{name}.bin"] = put(tmp_path / "binary" / folder / f"{name}.bin", records.tobytes())
            path = tmp_path / "pickled/cifar-10-batches-py" / name
            pickled.append([name, put(path, pickle.dumps({"data": pixels, "labels": classes.tolist()}))])
            archive.add(path, f"cifar-10-batches-py/{name}")
    content = (tmp_path / "cifar-10-python.tar.gz").read_bytes()
    official = torchvision.datasets.CIFAR10
    monkeypatch.setattr(official, "tgz_md5", put(tmp_path / "archive/cifar-10-python.tar.gz", content))
    monkeypatch.setattr(official, "train_list", pickled[:5])
    monkeypatch.setattr(official, "test_list", pickled[5:])
    monkeypatch.setattr(cifar10, "BINARY_MD5", binary)
    return tmp_path, images.reshape(24, 3, 32, 32), labels.reshape(24)


@pytest.mark.parametrize("form", ["binary", "pickled", "archive"])
def test_cifar10_is_the_same_from_every_form(cifar, form):
    folder, images, labels = cifar
    splits = read("cifar10", folder / form)
    assert sizes(splits) == (18, 2, 4)
    joined = torch.cat([splits.train.images, splits.valid.images, splits.test.images])
    assert np.array_equal(joined.numpy(), images)
    assert torch.cat([splits.train.labels, splits.valid.labels, splits.test.labels]).tolist() == labels.tolist()


def test_cifar10_is_never_unpickled_before_its_checksum(cifar):
    folder, *_ = cifar
    path = folder / "pickled/cifar-10-batches-py/data_batch_3"
    path.write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    with pytest.raises(ValueError, match="corrupt") as error:
        read("cifar10", folder / "pickled")
    assert str(path) in str(error.value)
    path.unlink()
    with pytest.raises(FileNotFoundError, match="data_batch_3 is missing"):
        read("cifar10", folder / "pickled")


def test_cifar10_missing_is_one_line(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"cifar-10-python\.tar\.gz is missing"):
        read("cifar10", tmp_path)


def test_a_cifar10_archive_of_something_else_is_refused(tmp_path, monkeypatch):
    for name, content in (("empty.tar", None), ("text", b"no archive")):
        if content is None:
            tarfile.open(tmp_path / name, "w").close()
            content = (tmp_path / name).read_bytes()
        monkeypatch.setattr(torchvision.datasets.CIFAR10, "tgz_md5", put(tmp_path / "cifar-10-python.tar.gz", content))
        with pytest.raises(ValueError, match="not the archive of CIFAR-10"):
            read("cifar10", tmp_path)


def test_digits_are_there_without_files(tmp_path):
    splits = read("digits", tmp_path)
    assert sizes(splits) == (1397, 200, 200)
    rows = torch.cat([splits.train.images, splits.valid.images, splits.test.images])
    assert (rows.min(), rows.max()) == (0, 255)
    assert all(len(split.labels.unique()) == 10 for split in (splits.train, splits.valid, splits.test))
    assert torch.equal(read("digits", tmp_path).test.labels, splits.test.labels)


@pytest.mark.real_data
def test_real_published_mnist(real):
    splits = read("mnist", real("mnist_static/mnist_salakhutdinov.npz"), published=True)
    assert sizes(splits) == (50_000, 10_000, 10_000)
    assert splits.train.images.unique().tolist() == [0, 255]
    assert splits.train.images.float().mean() / 255 == pytest.approx(0.1306, abs=1e-3)


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "folder", "mean"), [("mnist", "MNIST", 0.1307), ("fashion_mnist", "FashionMNIST", 0.2860)]
)
def test_real_idx_sets(real, name, folder, mean):
    splits = read(name, real(f"{folder}/raw"))
    assert sizes(splits) == (50_000, 10_000, 10_000)
    both = torch.cat([splits.train.images, splits.valid.images])
    assert both.double().mean() / 255 == pytest.approx(mean, abs=1e-4)
    assert splits.test.labels.unique().tolist() == list(range(10))


@pytest.mark.real_data
def test_real_omniglot(real):
    splits = read("omniglot", real("omniglot/images_background_105.npz"))
    assert sizes(splits) == (17_352, 1_928, 13_180)
    assert len(torch.cat([splits.train.labels, splits.valid.labels]).unique()) == 964
    assert (splits.test.labels.min(), splits.test.labels.max()) == (964, 964 + 658)


@pytest.mark.real_data
def test_real_cifar10(real):
    splits = read("cifar10", real("cifar-10-batches-bin"))
    assert sizes(splits) == (45_000, 5_000, 10_000)
    assert splits.test.labels.bincount().tolist() == [1000] * 10
