"""A folder of pictures: files, splits, classes, levels, and the one file that they are decoded into."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import jaxtyping
import numpy as np
import pytest
import torch
from gumbelzoo.data import ImageData
from gumbelzoo.data.images import folder, folder_cache
from gumbelzoo.data.images.folder_tree import hold_out_by_hash, read_tree
from gumbelzoo.data.left_out import SHOWN
from gumbelzoo.tests.data.images.photographs import CLASSES, FORMS, save, write_photographs
from PIL import Image

pytestmark = pytest.mark.filterwarnings("error")
QUARTERS = np.array([[[250, 10, 10], [10, 250, 10]], [[10, 10, 250], [250, 250, 250]]], dtype=np.uint8)


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    """Thirty pictures of three classes."""
    write_photographs(tmp_path / "pets", 30, 10, 30)
    return tmp_path / "pets"


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that are decoded."""
    names: list[str] = []
    decode = folder.decode

    def counted(file: Path, *shape: int) -> np.ndarray:
        names.append(file.name)
        return decode(file, *shape)

    monkeypatch.setattr(folder, "decode", counted)
    return names


def read(path: Path, size: int = 8, **options: Any) -> ImageData:
    data = ImageData("folder", path=str(path), size=size, batch_size=4, **options)
    data.setup("fit")
    return data


def all_levels(data: ImageData) -> torch.Tensor:
    splits = data.splits
    return torch.cat([splits.train.images, splits.valid.images, splits.test.images])


# -- levels -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS, ids=lambda form: f"{form[0]}.{form[1]}")
def test_mode_and_orientation(form: tuple[str, str, dict[str, Any]], tmp_path: Path) -> None:
    """Four quarters of different colours stay where they are, or become grey."""
    mode, ending, options = form
    scene = Image.fromarray(QUARTERS.repeat(48, 0).repeat(48, 1))
    grey = mode in ("L", "LA", "1", "I;16")
    expected = np.asarray(scene.convert("L").convert("RGB") if grey else scene)[::24, ::24]
    for orientation in range(1, 9):
        file = tmp_path / f"{orientation}.{ending}"
        save(scene, file, mode, orientation, **options)
        found = folder.decode(file, 4, 3)
        assert (found.shape, found.dtype) == ((3, 4, 4), np.uint8)
        assert np.abs(found.transpose(1, 2, 0).astype(int) - expected).max() <= 45, orientation
        assert folder.decode(file, 4, 1).shape == (1, 4, 4)


def test_shorter_side_fits_and_the_centre_is_kept(tmp_path: Path) -> None:
    levels = np.random.default_rng(0).integers(0, 256, (12, 20, 3), dtype=np.uint8)
    Image.fromarray(levels).save(tmp_path / "wide.png")
    Image.fromarray(levels.transpose(1, 0, 2)).save(tmp_path / "high.png")
    assert np.array_equal(folder.decode(tmp_path / "wide.png", 12, 3), levels[:, 4:16].transpose(2, 0, 1))
    assert np.array_equal(folder.decode(tmp_path / "high.png", 12, 3), levels[:, 4:16].transpose(2, 1, 0))
    smaller = folder.decode(tmp_path / "wide.png", 3, 3)
    areas = levels[:, 4:16].reshape(3, 4, 3, 4, 3).mean((1, 3))
    assert np.abs(smaller.transpose(1, 2, 0) - areas).mean() < 25  # not single pixels, whose distance is 60
    Image.new("RGB", (1, 1), (1, 2, 3)).save(tmp_path / "point.png")
    assert folder.decode(tmp_path / "point.png", 5, 3).reshape(3, 25).T.tolist() == [[1, 2, 3]] * 25


def test_transparent_level_of_16_bits_is_black(tmp_path: Path) -> None:
    levels = np.full((8, 8), 60_000, np.uint16)
    levels[:4] = 30_000
    Image.fromarray(levels).save(tmp_path / "a.png", transparency=60_000)
    assert folder.decode(tmp_path / "a.png", 8, 1)[0, ::7, 0].tolist() == [117, 0]


def test_large_jpeg_is_reduced_while_it_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGB", (640, 480), (200, 100, 50)).save(tmp_path / "a.jpg")
    Image.new("RGB", (640, 480), (200, 100, 50)).save(tmp_path / "a.png")
    monkeypatch.setattr(folder, "MAX_PIXELS", 160 * 120)
    assert np.abs(folder.decode(tmp_path / "a.jpg", 60, 3)[:, 0, 0].astype(int) - [200, 100, 50]).max() < 4
    with pytest.raises(ValueError, match=r"640 x 480 pixels, more than 19,200"):
        folder.decode(tmp_path / "a.png", 60, 3)


# -- splits and classes -----------------------------------------------------------------------------------------------


def test_classes_are_the_folders(pets: Path) -> None:
    data = read(pets)
    assert data.shape == (3, 8, 8) and data.classes == 3 and data.binarization == "none"
    assert data.metadata()["classes"] == "3: 0 circles, 1 squares, 2 stripes"
    tree = read_tree(pets)
    for split, files in zip((data.splits.train, data.splits.valid, data.splits.test), tree.parts, strict=True):
        assert split.labels.tolist() == [CLASSES.index(file.name.partition("/")[0]) for file in files]
    batch = next(iter(data.train_dataloader()))
    assert (batch["image"].shape, batch["image"].dtype) == ((4, 3, 8, 8), torch.float32)
    assert 0 <= batch["image"].min() < batch["image"].max() <= 1


def test_pictures_without_folders_have_no_labels(pets: Path) -> None:
    shutil.copy(next((pets / "circles").iterdir()), pets)
    data = read(pets)
    assert data.classes == 0 and data.metadata()["classes"] == "none"
    assert set(next(iter(data.train_dataloader()))) == {"image"}


def test_split_is_kept_when_pictures_are_added() -> None:
    names = [f"{number}.png" for number in range(3000)]
    first, more = (hold_out_by_hash(names[:n], ["valid", "test"]) for n in (1000, 3000))
    assert all(more.get(name) == first.get(name) for name in names[:1000])
    counts = [list(more.values()).count(part) for part in ("valid", "test")]
    assert all(abs(count - 300) < 4 * (300 * 0.9) ** 0.5 for count in counts), counts
    assert hold_out_by_hash(["e\u0301.png", *names], ["test"]).keys() - {"e\u0301.png"} == hold_out_by_hash(
        ["\u00e9.png", *names], ["test"]
    ).keys() - {"\u00e9.png"}


def test_few_pictures_are_in_every_split() -> None:
    for n in range(3, 30):
        chosen = hold_out_by_hash([f"{number}.png" for number in range(n)], ["valid", "test"])
        assert set(chosen.values()) == {"valid", "test"} and len(chosen) < n


@pytest.mark.parametrize("names", [("train", "valid", "test"), ("Train", "VAL", "Testing"), ("training", None, "test")])
def test_split_folders_are_the_splits(names: tuple[str, str | None, str], tmp_path: Path) -> None:
    train, valid, test = names
    for part in filter(None, (*names, "other")):
        write_photographs(tmp_path / "pets" / part, 12, 10, 20)
    tree = read_tree(tmp_path / "pets")
    for part, files in zip((train, valid or train, test), tree.parts, strict=True):
        assert files and all(file.name.startswith(f"{part}/") for file in files)
    assert sum(map(len, tree.parts)) == (36 if valid else 24)
    assert tree.classes == CLASSES
    assert [name for name in tree.left_out if name.startswith("other/")] and len(tree.left_out) == 12


def test_folder_train_alone_is_a_class(pets: Path) -> None:
    (pets / "circles").rename(pets / "train")
    assert read_tree(pets).classes == ("squares", "stripes", "train")


def test_folder_train_with_all_pictures_is_no_class(pets: Path, tmp_path: Path) -> None:
    pets.rename(tmp_path / "train")
    (tmp_path / "pets").mkdir()
    (tmp_path / "train").rename(tmp_path / "pets/train")
    tree = read_tree(tmp_path / "pets")
    assert tree.classes == CLASSES and all(tree.parts)


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        (("valid", "test"), "has the folder test and none of training pictures: name that train, or"),
        (("circles", "Test"), "if it is a class, rename Test"),
        (
            ("data/train", "data/test"),
            r"has a split in data/test[^\n]*: give [^\n]*pets/data, or make train and test the",
        ),
        (("a/train", "a/val", "b/train", "b/val"), "has a split in a/val[^\n]* the first folders"),
    ],
)
def test_split_that_would_be_a_class_raises(folders: tuple[str, ...], message: str, tmp_path: Path) -> None:
    """Else training would see the pictures of the test folder."""
    for place in folders:
        write_photographs(tmp_path / "pets" / place, 12, 10, 20)
    with pytest.raises(ValueError, match=message):
        read_tree(tmp_path / "pets")


def test_whole_numbers_are_classes_in_their_order(tmp_path: Path) -> None:
    for number in range(12):
        save(Image.new("L", (4, 4)), tmp_path / "pets" / str(number) / "a.png", "L")
    assert read_tree(tmp_path / "pets").classes == tuple(map(str, range(12)))


def test_labels_file_gives_the_classes(pets: Path) -> None:
    files = sorted(str(file.relative_to(pets)) for file in pets.rglob("*.*"))
    lines = [f'"{file}",{"b" if number % 2 else "a"}' for number, file in enumerate(files[:-1])]
    (pets / "labels.csv").write_text("\n".join(["\ufefffile,label", *lines, "nothing.png,a"]), encoding="utf-8")
    tree = read_tree(pets)
    assert tree.classes == ("a", "b")
    assert tree.class_of == {file: number % 2 for number, file in enumerate(files[:-1])}
    assert tree.left_out == {files[-1]: "no line in labels.csv", "nothing.png": "in labels.csv, and no such file"}


def test_labels_file_of_another_spelling(pets: Path) -> None:
    """Columns with spaces and capitals, and the composed name of a file whose accent is a letter of its own."""
    shutil.copy(pets / "circles/0003.png", pets / "e\u0301.png")
    others = "".join(f"stripes/{file.name}, b\n" for file in (pets / "stripes").iterdir())
    (pets / "labels.csv").write_text(f"File, Label\n\u00e9.png, a\n{others}", encoding="utf-8")
    assert read_tree(pets).class_of["e\u0301.png"] == 0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("name,label\na.png,1\n", "must name the columns file,label, and is 'name,label'"),
        ("file,label\na.png\n", "line 2 has no file or no label"),
        ("file,label\na.png,1\n./a.png,2\n", "line 3 names a.png again"),
        ("file,label\nother.png,1\n", "names none of the pictures"),
        ("file,label\n\xff.png,1\n", "is not UTF-8"),
        ('file,label\n"a.png,1\n', "unexpected end of data"),
    ],
)
def test_unfit_labels_file_raises(content: str, message: str, pets: Path) -> None:
    shutil.copy(pets / "circles/0003.png", pets / "a.png")
    (pets / "labels.csv").write_bytes(content.encode("latin1"))
    with pytest.raises(ValueError, match=rf"^[^\n]*labels\.csv[^\n]*{message}[^\n]*$"):
        read_tree(pets)


def test_cache_that_cannot_be_written(pets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(
        ValueError, match=r"not written to [^\n]*/file/gumbelzoo/pictures: Not a directory; set XDG_CACHE"
    ):
        read(pets)


# -- what is left out -------------------------------------------------------------------------------------------------


def test_files_left_out_are_named(pets: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """In a line each, and in the metadata; nothing loops, and nothing is read that is no file."""
    (pets / "empty.png").touch()
    (pets / "notes.txt").write_text("no picture")
    (pets / "half.jpg").write_bytes((pets / "circles/0000.jpg").read_bytes()[:200])
    (pets / "esc\x1b[2J.csv").write_text("1, 2")
    frames = [Image.new("L", (8, 8), level) for level in (0, 100, 200)]
    frames[0].save(pets / "moves.gif", save_all=True, append_images=frames[1:])
    save(Image.new("F", (8, 8)), pets / "float.tif", "F")
    os.mkfifo(pets / "pipe.png")
    (pets / "gone.png").symlink_to("nothing")
    (pets / "loop").symlink_to("..")
    (pets / "circles" / "self").symlink_to("self")
    (pets / ".hidden.png").touch()
    data = read(pets)
    lines = capfd.readouterr().err.splitlines()
    reasons = {
        "circles/self": "a link to nothing",
        "empty.png": "empty",
        "esc\N{REPLACEMENT CHARACTER}[2J.csv": "no picture",
        "float.tif": "more than 8 bits a channel",
        "gone.png": "a link to nothing",
        "half.jpg": "",
        "moves.gif": "3 frames; save each as a picture of its own",
        "notes.txt": "no picture",
        "pipe.png": "no regular file",
    }
    for name, why in reasons.items():
        assert [line for line in lines if line.startswith(f"left out: {name} ({why}")], (name, lines)
    assert data.metadata()["left out"].startswith(f"{len(lines)} files: circles/self (a link to nothing), ")
    assert data.metadata()["split"] == "22 training, 4 validation, 4 test"


def test_lines_of_files_left_out_are_bounded(pets: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for number in range(100):
        (pets / f"{number:03d}.png").touch()
    data = read(pets)
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == SHOWN + 1 and lines[-1] == f"left out: 80 more in {pets}"
    assert data.metadata()["left out"].endswith("004.png (empty) and 95 more")


def test_linked_folder_is_read_once(pets: Path, tmp_path: Path) -> None:
    """A class may be a link to a folder elsewhere; a second way to a folder is left out."""
    (pets / "circles").rename(tmp_path / "elsewhere")
    (pets / "circles").symlink_to(tmp_path / "elsewhere")
    (pets / "again").symlink_to("squares")
    tree = read_tree(pets)
    assert tree.classes == CLASSES and sum(map(len, tree.parts)) == 30
    assert tree.left_out == {"again": "a link to a folder that is read already"}


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no path": ({}, r"name='folder' needs a path.*--data\.path=DIR"),
    "nothing there": ({"path": "nothing"}, "there is no folder 'nothing'; data.path must be"),
    "a name with NUL": ({"path": "a\0b"}, "there is no folder"),
    "no user": ({"path": "~nobody-of-that-name/x"}, "there is no folder"),
    "a file": ({"path": "file.txt"}, r"'file\.txt' is a file; data\.path must be the folder"),
    "no pictures": ({"path": "."}, r"has too few pictures .*, 0; give more, .*\(files left out: 1, such as file\.txt"),
    "size 0": ({"path": ".", "size": 0}, "size must be a whole number from 1 to 2048, got 0"),
    "two channels": ({"path": ".", "channels": 2}, r"channels must be 1 \(grey\) or 3 \(colour\), got 2"),
    "colour binarized": ({"path": ".", "binarization": "static"}, "folder is in colour and cannot be binarized"),
}


def test_size_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """As by a user, whose annotations are not checked."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(ValueError, match=r"size must be a whole number from 1 to 2048, got 2\.5"):
        folder.folder_shape(size=2.5)


@pytest.mark.parametrize("case", REFUSED)
def test_refusal_is_one_line(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file.txt").touch()
    options, message = REFUSED[case]
    with pytest.raises((ValueError, FileNotFoundError), match=rf"^[^\n]*{message}[^\n]*$"):
        ImageData("folder", **options).setup("fit")


def test_no_readable_picture_raises(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"^none of the 3 pictures can be read, such as \d\.png \(cannot identify"):
        read(tmp_path)


def test_other_data_sets_take_no_size() -> None:
    with pytest.raises(ValueError, match="the data set 'digits' takes no size; leave it out, or use name='folder'"):
        ImageData("digits", size=8)
    defaults = {name: ImageData(name).binarization for name in ("digits", "mnist", "cifar10", "folder")}
    assert defaults == {"digits": "static", "mnist": "static", "cifar10": "none", "folder": "none"}


# -- the decoded file -------------------------------------------------------------------------------------------------


def test_pictures_are_decoded_once(pets: Path, decoded: list[str]) -> None:
    """Until they change: then only those that did. Each size and number of channels has its own file."""
    levels = all_levels(read(pets))
    assert len(decoded) == 30
    decoded.clear()
    assert torch.equal(all_levels(read(pets)), levels) and not decoded
    assert read(pets, channels=1).shape == (1, 8, 8) and len(decoded) == 30
    assert all_levels(read(pets, size=9)).shape == (30, 3, 9, 9) and len(decoded) == 60
    decoded.clear()
    save(Image.new("RGB", (8, 8), (9, 9, 9)), pets / "circles/0003.png", "RGB")
    save(Image.new("RGB", (8, 8), (9, 9, 9)), pets / "circles/new.png", "RGB")
    (pets / "squares/0004.png").unlink()
    changed = all_levels(read(pets))
    assert sorted(decoded) == ["0003.png", "new.png"]
    shutil.rmtree(os.environ["XDG_CACHE_HOME"])
    assert torch.equal(all_levels(read(pets)), changed)


def test_killed_decoding_goes_on(pets: Path, decoded: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    (pets / "squares/bad.png").write_bytes(b"no picture")
    whole = all_levels(read(pets))
    shutil.rmtree(os.environ["XDG_CACHE_HOME"])
    monkeypatch.setattr(folder_cache, "PART_FILES", 4)
    write, calls = folder_cache._write_json, []

    def killed(path: Path, content: dict[str, Any]) -> None:
        calls.append(path)
        if len(calls) == 4:
            raise KeyboardInterrupt  # sixteen are written, twelve are noted
        write(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(folder_cache, "_write_json", killed)
        with pytest.raises(KeyboardInterrupt):
            read(pets)
    decoded.clear()
    data = read(pets)
    assert torch.equal(all_levels(data), whole) and len(decoded) == 31 - 12
    assert "bad.png" in data.metadata()["left out"]
    assert sorted(file.suffix for file in (Path(os.environ["XDG_CACHE_HOME"]) / "gumbelzoo/pictures").iterdir()) == [
        ".json",
        ".levels",
        ".lock",
    ]


@pytest.mark.parametrize("damage", ["a byte", "cut short", "index", "gone", "copied"])
def test_damaged_levels_are_decoded_again(damage: str, pets: Path, decoded: list[str]) -> None:
    """A copy with another time is compared, and kept."""
    levels = all_levels(read(pets)).clone()
    (file,) = (Path(os.environ["XDG_CACHE_HOME"]) / "gumbelzoo/pictures").glob("*.levels")
    content = bytearray(file.read_bytes())
    content[100] ^= 1
    decoded.clear()
    if damage == "a byte":
        file.write_bytes(content)
    elif damage == "cut short":
        os.truncate(file, 100)
    elif damage == "index":
        file.with_suffix(".json").write_text('{"version": 1')
    elif damage == "gone":
        file.unlink()
    else:
        os.utime(file, (1, 1))
    assert torch.equal(all_levels(read(pets)), levels)
    assert len(decoded) == (0 if damage == "copied" else 30)


def test_disk_without_room_is_told(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage("/")._replace(free=100)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(ValueError, match=r"^the decoded pictures take .* set XDG_CACHE_HOME to a folder"):
        read(pets)


# -- batches ----------------------------------------------------------------------------------------------------------


def test_mean_and_variance_of_many_blocks(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gumbelzoo.data.images.datamodule.BLOCK_PIXELS", 5 * 192)
    data = read(pets, flip=True)
    images = data.splits.train.images.double() / 255
    both = torch.cat([images, images.flip(-1)])
    assert torch.allclose(data.mean.double(), both.mean(0), atol=1e-6)
    assert data.variance == pytest.approx(images.var(correction=0).item(), rel=1e-6)


def test_half_of_the_training_images_are_flipped(pets: Path) -> None:
    """A pure function of seed, epoch and step; held-out images are never flipped."""
    plain, flipped = read(pets), read(pets, flip=True)
    total = mirrored = 0
    for _ in range(12):
        for one, other in zip(plain.train_dataloader(), flipped.train_dataloader(), strict=True):
            for image, found in zip(one["image"], other["image"], strict=True):
                assert torch.equal(found, image) or torch.equal(found, image.flip(-1))
                mirrored, total = mirrored + (not torch.equal(found, image)), total + 1
    assert 0.35 < mirrored / total < 0.65
    loaders = [read(pets, flip=True, seed=seed).train_dataloader() for seed in (0, 0, 1)]
    first, again, other = (torch.cat([batch["image"] for batch in loader]) for loader in loaders)
    assert torch.equal(first, again) and not torch.equal(first, other)
    for name in ("val_dataloader", "test_dataloader"):
        assert all(
            torch.equal(one["image"], other["image"])
            for one, other in zip(getattr(plain, name)(), getattr(flipped, name)(), strict=True)
        )


def test_root_is_the_default_of_path(pets: Path) -> None:
    assert ImageData("folder", root=str(pets), size=8).splits.source == "30 pictures of the folder pets"
