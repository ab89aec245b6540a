"""Data sets of torch, Hugging Face and torchvision as data; every one starts from an object or files of a user."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from gumbelzoo.data import ImageData
from gumbelzoo.data.images.array_splits import to_arrays
from gumbelzoo.data.images.splits import IMAGE_SETS
from gumbelzoo.data.storage import Folders
from PIL import Image
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

LEVELS = np.random.default_rng(1).integers(0, 256, (300, 8, 6, 3), dtype=np.uint8)  # n h w c
LABELS = np.arange(300) % 5
TENSORS = torch.from_numpy(LEVELS).permute(0, 3, 1, 2) / 255  # n c h w


class Own(Dataset):
    """As a user writes one."""

    def __init__(self, form: str) -> None:
        self.form = form

    def __len__(self) -> int:
        return len(LEVELS)

    def __getitem__(self, i: int) -> Any:
        if i >= len(LEVELS):
            raise IndexError(i)
        picture = Image.fromarray(LEVELS[i])
        return {
            "picture and label": (picture, int(LABELS[i])),
            "array and label": (LEVELS[i], LABELS[i]),
            "dictionary": {"img": TENSORS[i], "label": torch.tensor(LABELS[i])},
            "other names": {"pixels": picture, "kind": int(LABELS[i]), "text": "a"},
            "picture": picture,
            "caption": (picture, "a caption"),
        }[self.form]


class Stream(IterableDataset):
    def __iter__(self) -> Iterator[Any]:
        return zip(TENSORS, LABELS.tolist(), strict=True)


SETS: dict[str, tuple[Any, dict[str, Any]]] = {
    "pictures": (Own("picture and label"), {}),
    "arrays": (Own("array and label"), {}),
    "dictionaries": (Own("dictionary"), {}),
    "other names": (Own("other names"), {"image": "pixels", "label": "kind"}),
    "tensors": (TensorDataset(TENSORS, torch.from_numpy(LABELS)), {}),
    "labels first": (TensorDataset(torch.from_numpy(LABELS), TENSORS), {"image": 1, "label": 0}),
    "loader": (DataLoader(Own("dictionary"), batch_size=64), {}),
    "loader of tuples": (DataLoader(TensorDataset(TENSORS, torch.from_numpy(LABELS)), batch_size=7), {}),
    "stream": (Stream(), {}),
    "list": ([(image, label) for image, label in zip(LEVELS, LABELS, strict=True)], {}),
}


def is_read(data: ImageData, labelled: bool = True) -> None:
    """Check that a data module has the images of ``LEVELS``, each once, and their labels."""
    arrays = to_arrays(data.stored)
    images = np.concatenate([arrays[f"x_{part}"] for part in ("train", "valid", "test")])
    where = {image.tobytes(): i for i, image in enumerate(LEVELS.transpose(0, 3, 1, 2))}
    order = [where[image.tobytes()] for image in images]
    assert sorted(order) == list(range(300))
    assert ("y_train" in arrays) == labelled
    if labelled:
        assert np.concatenate([arrays[f"y_{part}"] for part in ("train", "valid", "test")]).tolist() == [
            LABELS[i] for i in order
        ]


@pytest.mark.parametrize("name", SETS)
def test_data_set_of_torch_is_read(name: str) -> None:
    dataset, options = SETS[name]
    is_read(ImageData.from_dataset(dataset, **options))


def test_data_set_without_labels_is_read(capsys: pytest.CaptureFixture[str]) -> None:
    is_read(ImageData.from_dataset(Own("picture")), labelled=False)
    is_read(ImageData.from_dataset(Own("caption"), label=False), labelled=False)
    is_read(ImageData.from_dataset(Own("other names"), image="pixels"), labelled=False)
    told = capsys.readouterr().err.splitlines()
    assert told[0] == "left out: kind (of the train data set; are these labels? label='kind' reads them)"
    assert [line[:14] for line in told] == ["left out: kind", "left out: text"]


def test_splits_of_data_sets_are_kept() -> None:
    train, test = TensorDataset(TENSORS[:200]), TensorDataset(TENSORS[200:])
    for data in (ImageData.from_dataset(train, test=test), ImageData.from_dataset({"train": train, "test": test})):
        assert torch.equal(data.splits.test.images, (TENSORS[200:] * 255).round().byte())
        assert len(data.splits.valid) == 20


def test_modes_of_pictures() -> None:
    """Grey ones among colours become colours; the first one says what they are."""
    pictures = [Image.fromarray(level) for level in LEVELS[:20]]
    mixed = [*pictures[:19], pictures[19].convert("L")]
    assert ImageData.from_dataset(mixed).shape == (3, 8, 6)
    assert ImageData.from_dataset([picture.convert("L") for picture in pictures]).shape == (1, 8, 6)
    with pytest.raises(ValueError, match="image 1 is RGB, and the first one grey; convert all of them to one mode"):
        ImageData.from_dataset(mixed[::-1])


def test_unfit_data_set_is_named() -> None:
    sizes = [np.zeros((8, 8), np.uint8), np.zeros((8, 9), np.uint8)]
    for dataset, options, said in (
        (sizes, {}, r"images of the shapes \(8, 8\) and \(8, 9\) \(image 1\); resize them in its transform"),
        (Own("caption"), {}, "has labels such as 'a caption', no whole numbers; label=False leaves them out"),
        (Own("other names"), {}, r"has no image, its items have pixels, kind, text; .* image='image'"),
        (Own("dictionary"), {"label": "kind"}, "has no label 'kind', its items have img, label"),
        ([], {}, "the train data set has no images"),
        ({"test": []}, {}, "must have 'train', and it has test"),
        (TensorDataset(TENSORS * 255), {}, "levels 0 to 255 as floats become images with `/ 255`"),
    ):
        with pytest.raises(ValueError, match=rf"^[^\n]*{said}[^\n]*$"):
            ImageData.from_dataset(dataset, **options)


@pytest.mark.filterwarnings("ignore")  # of the library, about its own dependencies
def test_hugging_face_data_set_is_read(tmp_path: Path) -> None:
    """From memory, and from the disk; with its own splits."""
    datasets = pytest.importorskip("datasets")
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(5)})
    columns = {"image": [Image.fromarray(level) for level in LEVELS], "label": LABELS.tolist()}
    whole = datasets.Dataset.from_dict(columns, features=features)
    is_read(ImageData.from_dataset(whole))
    is_read(ImageData.from_dataset(whole.with_format("numpy")))
    whole.train_test_split(0.2, seed=0).save_to_disk(tmp_path / "saved")
    data = ImageData.from_dataset(datasets.load_from_disk(tmp_path / "saved"))
    is_read(data)
    assert len(data.splits.test) == 60


# -- torchvision ------------------------------------------------------------------------------------------------------


def idx(path: Path, array: np.ndarray) -> None:
    """Write the format of MNIST: magic number, sizes, values."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = {"uint8": 8, "int32": 12}[array.dtype.name]
    sizes = np.array(array.shape, ">u4").tobytes()
    path.write_bytes(bytes([0, 0, kind, array.ndim]) + sizes + array.astype(array.dtype.newbyteorder(">")).tobytes())


GREY, NUMBERS = LEVELS[:40, :, :, 0].repeat(4, 1).repeat(5, 2)[:, :28, :28], (LABELS[:40]).astype(np.uint8)


def kmnist(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for part in ("train", "t10k"):
        idx(root / f"KMNIST/raw/{part}-images-idx3-ubyte", GREY)
        idx(root / f"KMNIST/raw/{part}-labels-idx1-ubyte", NUMBERS)


def qmnist(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for part in ("train", "test"):
        idx(root / f"QMNIST/raw/qmnist-{part}-images-idx3-ubyte", GREY)
        idx(root / f"QMNIST/raw/qmnist-{part}-labels-idx2-int", np.stack([NUMBERS.astype(np.int32)] * 8, 1))


def emnist(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for part in ("train", "test"):
        idx(root / f"EMNIST/raw/emnist-balanced-{part}-images-idx3-ubyte", GREY.swapaxes(1, 2))
        idx(root / f"EMNIST/raw/emnist-balanced-{part}-labels-idx1-ubyte", NUMBERS)


def usps(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [
        " ".join([f"{label + 1}", *(f"{i + 1}:{value / 127.5 - 1:.6f}" for i, value in enumerate(image.ravel()))])
        for image, label in zip(GREY[:, :16, :16].astype(float) + 0.1, NUMBERS, strict=True)
    ]
    (root / "USPS").mkdir()
    for name in ("usps.bz2", "usps.t.bz2"):
        (root / "USPS" / name).write_bytes(bz2.compress("\n".join(lines).encode()))


def colour() -> np.ndarray:
    return LEVELS[:40].repeat(4, 1).repeat(6, 2)[:, :32, :32]  # n h w c


def svhn(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from scipy.io import savemat
    from torchvision.datasets import SVHN

    (root / "SVHN").mkdir()
    split_list = {}
    for part in ("train", "test"):
        file = root / f"SVHN/{part}_32x32.mat"
        savemat(file, {"X": colour().transpose(1, 2, 3, 0), "y": np.where(NUMBERS == 0, 10, NUMBERS)[:, None]})
        split_list[part] = ["", file.name, hashlib.md5(file.read_bytes()).hexdigest()]
    monkeypatch.setattr(SVHN, "split_list", split_list)


def cifar100(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.datasets import CIFAR100

    (root / "cifar-100-python").mkdir()
    content = {"data": colour().transpose(0, 3, 1, 2).reshape(40, -1), "fine_labels": NUMBERS.tolist()}
    pickled = pickle.dumps(content, protocol=2)
    for part in ("train", "test"):
        (root / "cifar-100-python" / part).write_bytes(pickled)
        monkeypatch.setattr(CIFAR100, f"{part}_list", [[part, hashlib.md5(pickled).hexdigest()]])


@pytest.mark.parametrize("write", [kmnist, qmnist, emnist, usps, svhn, cifar100])
def test_set_of_torchvision_is_read(write: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From tiny files of its form: upright, classes from 0, a tenth of training held out."""
    write(tmp_path, monkeypatch)
    name = write.__name__
    splits = IMAGE_SETS[name].read(Folders(str(tmp_path)), False)
    assert [len(split) for split in (splits.train, splits.valid, splits.test)] == [36, 4, 40]
    c, h, w = shape = IMAGE_SETS[name].shape
    expected = colour().transpose(0, 3, 1, 2) if c == 3 else GREY[:, None, :h, :w]
    assert splits.test.images.shape == (40, *shape)
    assert np.array_equal(splits.test.images.numpy(), expected)
    assert splits.test.labels.tolist() == NUMBERS.tolist()


def test_damaged_set_of_torchvision_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kmnist(tmp_path, monkeypatch)
    (tmp_path / "KMNIST/raw/t10k-images-idx3-ubyte").write_bytes(gzip.compress(b"hello"))
    with pytest.raises(ValueError, match=r"^[^\n]*KMNIST is damaged [^\n]*; delete it and run again$"):
        ImageData("kmnist", root=str(tmp_path)).setup()


def test_missing_set_of_torchvision_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(torchvision.datasets.USPS, "split_list", {"train": ["file:///none/usps.bz2", "usps.bz2", "0"]})
    with pytest.raises(
        FileNotFoundError, match=r"^USPS is missing in [^\n]*; put its files there, or set GUMBELZOO_DATA"
    ):
        ImageData("usps", root=str(tmp_path)).setup()
