"""A user's own arrays as data: what they may look like, what is refused, and what their splits are."""

from __future__ import annotations

import resource
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gumbelzoo.data import ImageData
from gumbelzoo.data.images.array_splits import to_arrays

LEVELS = np.random.default_rng(0).integers(0, 256, (60, 3, 8, 6))  # n c h w
GREY = LEVELS[:, 0]
LABELS = np.arange(60) % 4

FIT: dict[str, Any] = {
    "int64": LEVELS,
    "uint8": LEVELS.astype(np.uint8),
    "channels last": LEVELS.astype(np.uint8).transpose(0, 2, 3, 1),
    "float64": LEVELS / 255,
    "float32 channels last": (LEVELS / 255).astype(np.float32).transpose(0, 2, 3, 1),
    "by columns": np.asfortranarray(LEVELS / 255),
    "backwards": LEVELS.astype(np.uint8)[::-1].copy()[::-1],
    "tensor": torch.from_numpy(LEVELS).byte(),
    "float tensor with a gradient": (torch.from_numpy(LEVELS) / 255).requires_grad_(),
    "list": LEVELS.tolist(),
}


def all_images(data: ImageData) -> torch.Tensor:
    """Images of all splits, uint8, in the order of their first pixels."""
    images = torch.cat([torch.from_numpy(array) for name, array in to_arrays(data.stored).items() if name[0] == "x"])
    return images[np.lexsort(images.flatten(1)[:, :3].numpy().T).tolist()]


@pytest.mark.parametrize("name", FIT)
def test_forms_of_the_same_images(name: str) -> None:
    data = ImageData.from_arrays(FIT[name], LABELS, batch_size=10)
    expected = ImageData.from_arrays(LEVELS.astype(np.uint8))
    assert data.shape == (3, 8, 6)
    assert torch.equal(all_images(data), all_images(expected))
    batch = next(iter(data.train_dataloader()))
    assert (batch["image"].shape, batch["image"].dtype) == ((10, 3, 8, 6), torch.float32)
    assert batch["label"].dtype == torch.int64 and data.classes == 4
    data.prepare_data(), data.setup("fit")
    assert data.metadata()["split"] == "49 training, 5 validation, 6 test"


@pytest.mark.parametrize("array", [GREY, GREY[:, None], GREY[..., None], GREY / 255, GREY > 127])
def test_grey_images_get_one_channel(array: np.ndarray) -> None:
    data = ImageData.from_arrays(array, batch_size=10)
    assert data.shape == (1, 8, 6) and data.classes == 0
    assert set(next(iter(data.val_dataloader()))) == {"image"}
    if array.dtype == bool:
        assert next(iter(data.train_dataloader()))["image"].unique().tolist() == [0, 1]


UNFIT: dict[str, tuple[dict[str, Any], str]] = {
    "whole numbers 0 and 1": ({"x_train": (LEVELS > 127).astype(int)}, "multiply them by 255, or store them as floats"),
    "bytes 0 and 1": ({"x_train": (LEVELS > 127).astype(np.uint8)}, "multiply them by 255"),
    "NaN": ({"x_train": np.where(LEVELS == 7, np.nan, LEVELS / 255)}, "has NaN among its values"),
    "infinity": ({"x_train": np.where(LEVELS == 7, np.inf, LEVELS / 255)}, r"outside \[0, 1\].* `/ 255`"),
    "floats to 255": ({"x_train": LEVELS.astype(float)}, r"store images / 255"),
    "floats from -1": ({"x_train": LEVELS / 127.5 - 1}, r"store \(images \+ 1\) / 2"),
    "negative levels": ({"x_train": LEVELS - 128}, "integers are levels 0 to 255"),
    "complex numbers": ({"x_train": LEVELS / 255 + 0j}, "holds complex numbers, not real numbers"),
    "objects": ({"x_train": LEVELS.astype(object)}, "holds objects, not real numbers"),
    "texts": ({"x_train": LEVELS.astype(str)}, "holds texts, not real numbers"),
    "two channels": ({"x_train": LEVELS[:, :2]}, "no axis of 1 or 3 channels: grey is 1, colour 3"),
    "transparency": ({"x_train": np.zeros((60, 8, 6, 4))}, r"leave transparency out, `images\[..., :3\]`"),
    "channels first or last": ({"x_train": np.zeros((60, 3, 8, 3))}, r"may come first or last; leave the axis of grey"),
    "one image": ({"x_train": LEVELS[0]}, r"the first axis must be the images, as in `images\[None\]`"),
    "one image, channels last": ({"x_train": LEVELS[0].transpose(1, 2, 0)}, "the first axis must be the images"),
    "rows": ({"x_train": LEVELS.reshape(60, -1)}, r"has the shape \(60, 144\); images are n h w, n c h w, n h w c"),
    "none": ({"x_train": LEVELS[:0]}, "none of them 0"),
    "few": ({"x_train": LEVELS[:9]}, "of 9 images no tenth can be held out; give x_valid and x_test"),
    "other size": ({"x_train": LEVELS, "x_test": LEVELS[..., 1:]}, r"has the shape \(60, 3, 8, 5\).*\(3, 8, 6\)"),
    "few labels": ({"x_train": LEVELS, "y_train": LABELS[1:]}, r"has the shape \(59,\), and there are 60 images"),
    "one-hot": ({"x_train": LEVELS, "y_train": np.eye(60, dtype=int)}, r"one-hot labels give `labels.argmax\(1\)`"),
    "float labels": ({"x_train": LEVELS, "y_train": LABELS / 2}, "must be whole numbers from 0, got float64"),
    "negative labels": (
        {"x_train": LEVELS, "y_train": LABELS - 1},
        r"whole numbers from 0, below 10,000, got int64 from -1",
    ),
    "text labels": ({"x_train": LEVELS, "y_train": ["cat", "dog"] * 30}, r"got <U3; number them: `np.unique\(labels"),
    "hashes as labels": ({"x_train": LEVELS, "y_train": LABELS + 10**12}, r"below 10,000, got int64 from 10{12} to"),
    "labels beyond int64": ({"x_train": LEVELS, "y_train": LABELS.astype(np.uint64) + 2**63}, "got uint64 from 922337"),
    "levels of 16 bits": ({"x_train": LEVELS.astype(np.uint16) * 257}, "of 16 bits store images // 257"),
    "labels of some": ({"x_train": LEVELS, "y_train": LABELS, "x_test": LEVELS}, "give y_test with x_test for every"),
    "labels alone": ({"x_train": LEVELS, "y_test": LABELS}, "labels go with images: give y_test with x_test"),
}


@pytest.mark.parametrize("name", UNFIT)
def test_unfit_array_is_named(name: str) -> None:
    arrays, said = UNFIT[name]
    with pytest.raises(ValueError, match=rf"^arrays in memory: [^\n]*{said}[^\n]*$"):
        ImageData.from_arrays(**arrays)


def test_sparse_tensor_is_taken() -> None:
    data = ImageData.from_arrays(torch.from_numpy(GREY / 255).to_sparse())
    assert torch.equal(data.stored.train.own_images(), ImageData.from_arrays(GREY).stored.train.own_images())


def test_splits_are_drawn_once_and_not_copied() -> None:
    images = np.arange(200, dtype=np.uint8).repeat(4).reshape(200, 2, 2)
    data = ImageData.from_arrays(images, np.arange(200), batch_size=20, seed=5)
    splits = data.splits
    assert [len(split) for split in (splits.train, splits.valid, splits.test)] == [162, 18, 20]
    drawn = [split.labels.tolist() for split in (splits.train, splits.valid, splits.test)]
    assert sorted([*drawn[0], *drawn[1], *drawn[2]]) == list(range(200))
    again = ImageData.from_arrays(images, np.arange(200))
    assert again.splits.test.labels.tolist() == drawn[2]
    for batch in (*data.train_dataloader(), *data.val_dataloader(), *data.test_dataloader()):
        assert torch.equal(batch["image"][:, 0, 0, 0] * 255, batch["label"].float())
    images[:] = 9
    assert torch.equal(next(iter(data.test_dataloader()))["image"].unique() * 255, torch.tensor([9.0]))
    assert "a tenth of the training images" in data.metadata()["splits"]


@pytest.mark.parametrize("binarization", ["none", "static", "dynamic", "threshold"])
def test_saved_splits_give_the_same_batches(binarization: str, tmp_path: Path) -> None:
    """What is drawn from images in memory is what is drawn from their file, and so is the mean."""
    drawn = ImageData.from_arrays(GREY, LABELS, binarization=binarization, batch_size=10)
    np.savez(tmp_path / "saved.npz", **to_arrays(drawn.stored))
    saved = ImageData("arrays", binarization, path=str(tmp_path / "saved.npz"), batch_size=10)
    for one, other in zip(drawn.train_dataloader(), saved.train_dataloader(), strict=True):
        assert torch.equal(one["image"], other["image"]) and torch.equal(one["label"], other["label"])
    assert torch.equal(next(iter(drawn.test_dataloader()))["image"], next(iter(saved.test_dataloader()))["image"])
    assert torch.equal(drawn.mean, saved.mean) and drawn.variance == saved.variance
    if binarization == "none":
        pixels = drawn.splits.train.own_images() / 255
        torch.testing.assert_close(drawn.mean, pixels.mean(0))
        assert drawn.variance == pytest.approx(pixels.var(correction=0).item(), rel=1e-5)


def test_binarized_colour_arrays_raise() -> None:
    with pytest.raises(ValueError, match=r"^arrays is in colour .* use binarization='none', not 'static'"):
        ImageData.from_arrays(LEVELS, binarization="static").setup()


# -- files ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [("x_{}", "y_{}"), ("{}_images", "{}_labels")])
def test_names_of_others_in_files(form: tuple[str, str], tmp_path: Path) -> None:
    """An .npz file and a folder of .npy files; labels may have an axis more."""
    names = [name.format(part) for part in ("train", "test") for name in form]
    arrays = (LEVELS.astype(np.uint8), LABELS[:, None], LEVELS[:5].astype(np.uint8), LABELS[:5])
    np.savez_compressed(tmp_path / "a.npz", **dict(zip(names, arrays, strict=True)), other=np.array(["text"]))
    (tmp_path / "folder").mkdir()
    for name, array in zip(names, arrays, strict=True):
        np.save(tmp_path / f"folder/{name}.npy", array)
    for path in (tmp_path / "a.npz", tmp_path / "folder"):
        data = ImageData("arrays", path=str(path), batch_size=10)
        assert data.metadata()["split"] == "54 training, 6 validation, 5 test"
        assert data.metadata()["source"] == path.name
        assert torch.equal(data.splits.test.labels, torch.from_numpy(LABELS[:5]))
        assert torch.equal(data.splits.test.images, torch.from_numpy(LEVELS[:5]).byte())


def test_array_of_no_known_name_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Else a misspelt test set would be left out in silence, and another one be drawn."""
    np.savez(tmp_path / "a.npz", x_train=LEVELS, x_tset=LEVELS, X_test=LEVELS, notes=LABELS)
    data = ImageData("arrays", path=str(tmp_path / "a.npz"))
    data.setup()
    assert capsys.readouterr().err.splitlines() == [
        "left out: X_test (no name of images or labels; did you mean x_test?)",
        "left out: notes (no name of images or labels)",
        "left out: x_tset (no name of images or labels; did you mean x_test?)",
    ]
    assert data.metadata()["left out"].startswith("3 arrays: X_test (")
    np.savez(tmp_path / "a.npz", x_train=LEVELS, train_images=LEVELS)
    with pytest.raises(ValueError, match="has x_train and train_images, which are names of one array; remove one"):
        ImageData("arrays", path=str(tmp_path / "a.npz")).setup()


def test_npy_file_is_mapped_not_read(tmp_path: Path) -> None:
    """Of nearly four gigabytes, only the images of a batch."""
    path = tmp_path / "images.npy"
    array = np.lib.format.open_memmap(path, "w+", np.uint8, (20_000, 3, 256, 256))
    array[0] = 200
    del array
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    data = ImageData("arrays", path=str(path), batch_size=20)
    batch = next(iter(data.train_dataloader()))
    assert batch["image"].shape == (20, 3, 256, 256) and data.metadata()["split"].startswith("16,200 training")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kilobytes


def header(shape: tuple[int, ...]) -> bytes:
    buffer = BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return buffer.getvalue()


def test_unfit_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gumbelzoo.data.images.array_files.MAX_BYTES", 1 << 22)
    file, folder = tmp_path / "a.npz", tmp_path / "folder"
    folder.mkdir()
    np.save(folder / "x_train.npy", np.array([{}]), allow_pickle=True)
    np.savez(tmp_path / "texts.npz", x_train=np.array(["a"]))
    np.savez(tmp_path / "names.npz", pixels=LEVELS)
    (tmp_path / "short.npy").write_bytes(header((10, 8, 8)) + bytes(7))
    (tmp_path / "no.npy").write_bytes(b"hello")
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x_train.npy", header((10, 1000, 1000)) + bytes(10**7))
    for name, said in {
        "a.npz": r"a.npz: 'x_train' has more than 4,194,304 bytes; save it as x_train.npy in a folder",
        "folder": r"x_train.npy is no .npy .*'x_train' holds objects, not real numbers",
        "texts.npz": "'x_train' holds texts, not real numbers",
        "names.npz": "has no training images, named x_train, train_images, images; it has pixels",
        "short.npy": r"claims the shape \(10, 8, 8\)",
        "no.npy": "is no .npy file of plain numbers",
    }.items():
        with pytest.raises(ValueError, match=rf"^[^\n]*{said}[^\n]*$"):
            ImageData("arrays", path=str(tmp_path / name)).setup()
    with pytest.raises(FileNotFoundError, match=r"there is no '.*b.npz'"):
        ImageData("arrays", path=str(tmp_path / "b.npz")).setup()
    with pytest.raises(ValueError, match=r"'~nobody-of-that-name/b\.npz' is no path"):
        ImageData("arrays", path="~nobody-of-that-name/b.npz").setup()
    with pytest.raises(ValueError, match="name='arrays' needs a path"):
        ImageData("arrays").setup()
