"""CIFAR-10: its three file formats, and pickles that are no CIFAR-10."""

import pickle
import tarfile

import numpy as np
import pytest
import torch
import torchvision.datasets
from gumbelzoo.data.images import cifar10

RNG = np.random.default_rng(0)
OFFICIAL = torchvision.datasets.CIFAR10
CODE = b"cos\nsystem\n(S'false'\ntR."  # a pickle that runs a command


@pytest.fixture
def cifar(tmp_path, monkeypatch, put):
    """Four images in each of the six batches, in all three formats."""
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
            content = pickle.dumps({"data": pixels, "labels": classes.tolist()}, protocol=2)
            pickled.append([name, put(path, content)])
            archive.add(path, f"cifar-10-batches-py/{name}")
    content = (tmp_path / "cifar-10-python.tar.gz").read_bytes()
    monkeypatch.setattr(OFFICIAL, "tgz_md5", put(tmp_path / "archive/cifar-10-python.tar.gz", content))
    monkeypatch.setattr(OFFICIAL, "train_list", pickled[:5])
    monkeypatch.setattr(OFFICIAL, "test_list", pickled[5:])
    monkeypatch.setattr(cifar10, "BINARY_MD5", binary)
    return tmp_path, images.reshape(24, 3, 32, 32), labels.reshape(24)


@pytest.mark.parametrize("form", ["binary", "pickled", "archive"])
def test_cifar10_formats_agree(cifar, read_set, sizes, form):
    folder, images, labels = cifar
    splits = read_set("cifar10", folder / form)
    assert sizes(splits) == (18, 2, 4)
    joined = torch.cat([splits.train.images, splits.valid.images, splits.test.images])
    assert np.array_equal(joined.numpy(), images)
    assert torch.cat([splits.train.labels, splits.valid.labels, splits.test.labels]).tolist() == labels.tolist()


def test_corrupt_or_missing_batch_is_named(cifar, read_set):
    folder, *_ = cifar
    path = folder / "pickled/cifar-10-batches-py/data_batch_3"
    path.write_bytes(CODE)
    with pytest.raises(ValueError, match="corrupt") as error:
        read_set("cifar10", folder / "pickled")
    assert str(path) in str(error.value)
    path.unlink()
    with pytest.raises(FileNotFoundError, match="data_batch_3 is missing"):
        read_set("cifar10", folder / "pickled")


def test_pickled_code_is_not_run_despite_its_md5(cifar, put, read_set, monkeypatch):
    """An MD5 is no protection against a file made to have it."""
    folder, *_ = cifar
    checksum = put(folder / "pickled/cifar-10-batches-py/data_batch_3", CODE)
    batches = [[name, checksum if name == "data_batch_3" else md5] for name, md5 in OFFICIAL.train_list]
    monkeypatch.setattr(OFFICIAL, "train_list", batches)
    with pytest.raises(ValueError, match=r"refers to os\.system"):
        read_set("cifar10", folder / "pickled")


def test_missing_cifar10_names_the_file(tmp_path, read_set):
    with pytest.raises(FileNotFoundError, match=r"cifar-10-python\.tar\.gz is missing"):
        read_set("cifar10", tmp_path)


def test_malformed_cifar10_archive_raises(tmp_path, monkeypatch, put, read_set):
    tarfile.open(tmp_path / "empty.tar", "w").close()
    for content in ((tmp_path / "empty.tar").read_bytes(), b"no archive"):
        monkeypatch.setattr(OFFICIAL, "tgz_md5", put(tmp_path / "cifar-10-python.tar.gz", content))
        with pytest.raises(ValueError, match="not the archive of CIFAR-10"):
            read_set("cifar10", tmp_path)


@pytest.mark.real_data
def test_real_cifar10(real, read_set, sizes):
    splits = read_set("cifar10", real("cifar-10-batches-bin"))
    assert sizes(splits) == (45_000, 5_000, 10_000)
    assert splits.test.labels.bincount().tolist() == [1000] * 10
