"""``encode --split`` and ``decode`` of a folder: whole data sets on disk, killed and gone on, and what is refused."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gumbelzoo
import numpy as np
import pytest
import torch
from gumbelzoo.commands.files import code_folders, split_images
from gumbelzoo.commands.run_folders.lock import RunLock
from gumbelzoo.data import CodeFolder, ImageData
from gumbelzoo.train import main

from .test_codes import DIGITS, WITH_CODES

SIZES = {"train": 1397, "valid": 200, "test": 200}


class Killed(BaseException):
    pass


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of 50 images and shards of 150."""
    monkeypatch.setattr(split_images, "ROWS", 50)
    monkeypatch.setattr(code_folders, "SHARD_IMAGES", 150)


@pytest.fixture
def released(workspace: Path) -> Callable[..., str]:
    """Release an untrained model of a name."""

    def release(name: str, seed: int = 0, data: dict[str, Any] = DIGITS, **arguments: Any) -> str:
        torch.manual_seed(seed)
        model = gumbelzoo.create_model(name, **{**WITH_CODES[name], **arguments})
        place = workspace / f"{name}-{len(list(workspace.iterdir()))}"
        return gumbelzoo.save_pretrained(model, place, data=data).name

    return release


def images_of(split: str, **options: Any) -> tuple[torch.Tensor, torch.Tensor]:
    data = ImageData(**{**DIGITS["arguments"], **options})
    batch = data.rows(split, torch.arange(len(getattr(data.splits, split))))
    return batch["image"], batch["label"]


def files(folder: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}


@pytest.mark.parametrize("name", WITH_CODES)
def test_splits_are_written_and_decoded(name: str, released: Callable[..., str], capfd: Any) -> None:
    source = released(name)
    model = gumbelzoo.load(source)
    assert main(["encode", source, "--split", "all"]) == 0, capfd.readouterr().err
    folder = CodeFolder("codes")
    assert folder.splits == list(SIZES)
    for split, size in SIZES.items():
        images, labels = images_of(split)
        codes, expected = folder.codes(split), model.encode(images)
        assert codes.shape == expected.shape and len(codes) == size and codes.dtype == folder.header.dtype
        torch.testing.assert_close(torch.from_numpy(codes[:]), expected, check_dtype=False)
        assert np.array_equal(folder.labels(split)[:], labels)
        assert main(["decode", source, "codes", "--split", split, "--out", "again.npz"]) == 0
        torch.testing.assert_close(torch.from_numpy(np.load("again.npz")["images"]), model.reconstruct(images))
    assert folder.header.dtype == ("float32" if name == "gaussian_vae" else "uint8")
    assert capfd.readouterr().err == ""
    assert main(["decode", source, "codes", "-n", "4"]) == 0


def test_kill_anywhere_leaves_the_same_bytes(
    small: None, released: Callable[..., str], monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    """Killed at several batches and moves of files, the folder goes on, and each file is that of an unbroken run."""
    source = released("vq_vae")
    assert main(["encode", source, "--split", "all", "--out", "whole"]) == 0
    moved = Path.replace
    for death in (0, 2, 4, 9):
        moves = iter(range(death))

        def replace(path: Path, target: Path, moves: Any = moves) -> Path:
            if next(moves, None) is None:
                raise Killed
            return moved(path, target)

        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", replace)
            with pytest.raises(Killed):
                main(["encode", source, "--split", "all", "--out", "broken"])
        Path("broken/.gumbelzoo-0123abcd.tmp").write_bytes(b"half a shard")
    assert len(CodeFolder("broken").splits) < 3
    capfd.readouterr()
    assert main(["encode", source, "--split", "all", "--out", "broken"]) == 0
    assert "images are encoded already" in capfd.readouterr().err
    assert files("broken") == files("whole")
    assert len(files("whole")) == 1 + 2 * (10 + 2 + 2)


def test_damaged_shard_is_encoded_again(small: None, released: Callable[..., str]) -> None:
    source = released("categorical_vae")
    command = ["encode", source, "--split", "test"]
    assert main(command) == 0
    before = files("codes")
    damaged = bytearray(before["test-00001.npy"])
    damaged[-1] ^= 1
    Path("codes/test-00001.npy").write_bytes(damaged)
    Path("codes/test-00000-labels.npy").unlink()
    assert main(command) == 0
    assert files("codes") == before


def test_folder_has_one_writer(released: Callable[..., str], capfd: pytest.CaptureFixture[str]) -> None:
    """A second one would remove the file that the first has begun."""
    source, lock = released("vq_vae"), RunLock()
    Path("codes").mkdir()
    lock.acquire(Path("codes"))
    begun = Path("codes/.gumbelzoo-0123abcd.tmp")
    begun.write_bytes(b"half a shard")
    assert main(["encode", source, "--split", "test"]) == 2
    assert f"codes is in use by process {os.getpid()} on " in capfd.readouterr().err
    assert begun.exists()
    lock.release()
    assert main(["encode", source, "--split", "test"]) == 0
    assert not begun.exists() and not Path("codes/lock").exists()


def test_other_model_or_data_is_refused(released: Callable[..., str], capfd: Any) -> None:
    source = released("vq_vae")
    assert main(["encode", source, "--split", "test"]) == 0
    before = files("codes")
    Path("notes").mkdir()
    Path("notes/todo.txt").touch()
    cases = {
        "codes of another model": ["encode", released("vq_vae", seed=1), "--split", "test"],
        "codes of other data": ["encode", released("vq_vae", data=DIGITS | {"arguments": {"name": "digits"}})],
        "no codes to go on with": ["encode", source, "--out", "notes"],
    }
    for said, command in cases.items():
        assert main([*command, *([] if "--split" in command else ["--split", "test"])]) == 2
        error = capfd.readouterr().err
        assert said in error and error.count("\n") == 1
    header = json.loads(Path("codes/codes.json").read_text())
    header["splits"]["test"]["first"] = 64 * "0"  # as of a folder of pictures that has the same name elsewhere
    Path("codes/codes.json").write_text(json.dumps(header))
    assert main(["encode", source, "--split", "test"]) == 2
    assert "codes of other images of 'test'" in capfd.readouterr().err
    assert {**files("codes"), "codes.json": before["codes.json"]} == before


def test_flips_and_draws_are_not_encoded(released: Callable[..., str]) -> None:
    """A training split has no flips, and one draw of a dynamic binarization."""
    arguments = {"name": "digits", "binarization": "dynamic", "flip": True}
    source = released("vq_vae", data={"class": "images", "arguments": arguments})
    for out in ("one", "two"):
        assert main(["encode", source, "--split", "train", "--out", out]) == 0
    assert files("one") == files("two")
    drawn, _ = images_of("train", binarization="dynamic", flip=True)
    assert set(drawn.unique().tolist()) == {0, 1}
    assert torch.equal(images_of("train", flip=True)[0], images_of("train")[0])


OWN = """
import torch
from gumbelzoo.data.base import register_data
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

class Stream(IterableDataset):
    def __init__(self, pairs): self.pairs = pairs
    def __iter__(self): return iter(self.pairs)

@register_data("own", keys=("image", "label"))
class Own(LightningDataModule):
    def __init__(self, endless: bool = False) -> None:
        super().__init__()
        self.endless = endless
    def setup(self, stage: str) -> None:
        images = torch.rand(130, 1, 8, 8, generator=torch.Generator().manual_seed(0))
        setattr(self, stage, TensorDataset(images, torch.arange(130) % 3))
    def train_dataloader(self):
        return DataLoader(Stream(self.fit), 20) if self.endless else DataLoader(self.fit, 20, shuffle=True)
    def val_dataloader(self): return DataLoader(self.fit, 30)
    def test_dataloader(self): return DataLoader(Stream(self.test), 30)
"""


def test_own_module_is_encoded_in_order(
    small: None, released: Callable[..., str], workspace: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A shuffled training loader, and a test loader that can only be read from its start."""
    Path("own_data.py").write_text(OWN)
    plugin = ["--plugin", "own_data.py"]
    main(["list", *plugin])  # registers the data
    source = released("vq_vae", data={"class": "own", "arguments": {}})
    assert main(["encode", source, "--split", "all", *plugin]) == 0, capfd.readouterr().err
    images = torch.rand(130, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    expected = gumbelzoo.load(source, plugins=["own_data.py"]).encode(images)
    folder = CodeFolder("codes")
    for split in SIZES:
        assert np.array_equal(folder.codes(split)[:], expected)
        assert np.array_equal(folder.labels(split)[:], np.arange(130) % 3)
    source = released("vq_vae", data={"class": "own", "arguments": {"endless": True}})
    capfd.readouterr()
    assert main(["encode", source, "--split", "train", "--out", "endless", *plugin]) == 2
    assert "train_dataloader has no order that can be repeated" in capfd.readouterr().err


MISTAKES = {
    "a file for a folder": (["encode", "R", "--split", "test", "--out", "codes.npz"], "--split writes a folder"),
    "a folder for a file": (["encode", "R", "--out", "codes"], "give --split as well"),
    "images and a split": (["encode", "R", "--split", "all", "--images", "x"], "--images is for an .npz file"),
    "a part of a split": (["encode", "R", "--split", "all", "-n", "3"], "-n is for an .npz file"),
    "no such device": (["encode", "R", "--device", "abacus"], "there is no device 'abacus'"),
    "no such folder": (["decode", "R", "nothing"], "there is no 'nothing'"),
    "a folder without codes": (["decode", "R", "empty"], "'empty' has no codes.json"),
    "a split of a file": (["decode", "R", "some.npz", "--split", "test"], "is no folder of codes"),
    "a split that is not there": (["decode", "R", "codes", "--split", "train"], "no codes of 'train' but of test"),
}


def test_mistake_is_one_line(released: Callable[..., str], capfd: pytest.CaptureFixture[str]) -> None:
    source = released("vq_vae")
    assert main(["encode", source, "--split", "test", "--device", "cpu"]) == 0
    Path("empty").mkdir()
    np.savez("some.npz", codes=np.zeros((1, 2, 2, 1), np.int64))
    capfd.readouterr()
    for mistake, (arguments, expected) in MISTAKES.items():
        assert main([source if word == "R" else word for word in arguments]) == 2, mistake
        error = capfd.readouterr().err
        assert expected in error and error.count("\n") == 1, (mistake, error)


def test_codes_of_other_weights_are_told(released: Callable[..., str], capfd: pytest.CaptureFixture[str]) -> None:
    source = released("vq_vae")
    assert main(["encode", source, "--split", "test"]) == 0
    capfd.readouterr()
    assert main(["decode", released("vq_vae", seed=1), "codes"]) == 0
    assert capfd.readouterr().err == f"codes has codes of {source}, of other weights\n"
