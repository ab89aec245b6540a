"""Releases: what is written is what is loaded, and every damaged folder ends in one line."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gumbelzoo
import pytest
import torch
from gumbelzoo.models import pretrained
from safetensors.torch import load_file, save_file

ARGUMENTS: dict[str, Any] = {"image_shape": [1, 8, 8], "latents": 3, "categories": 4, "hidden": [8]}


@pytest.fixture
def release(tmp_path: Path) -> Path:
    model = gumbelzoo.create_model("categorical_vae", **ARGUMENTS)
    return gumbelzoo.save_pretrained(model, tmp_path / "release", card="# a card", data={"class": "ImageData"})


def test_what_is_saved_is_loaded(release: Path) -> None:
    model = gumbelzoo.create_model("categorical_vae", **ARGUMENTS)
    folder = gumbelzoo.save_pretrained(model, release.parent / "second")
    loaded = gumbelzoo.load(folder)
    assert not loaded.training
    assert dict(loaded.hparams) == dict(model.hparams)
    assert all(torch.equal(value, loaded.state_dict()[name]) for name, value in model.state_dict().items())
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "config.json", "model.safetensors"]


def test_a_name_of_the_package(release: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretrained, "RELEASED", release.parent)
    assert gumbelzoo.list_pretrained() == ["release"]
    assert gumbelzoo.list_pretrained("x*") == []
    assert gumbelzoo.load("release").sample(2).shape == (2, 1, 8, 8)
    with pytest.raises(ValueError, match="did you mean 'release'"):
        gumbelzoo.load("relaese")


def test_the_hub_is_asked_for_two_files(release: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {}

    def snapshot_download(repository: str, allow_patterns: list[str]) -> str:
        asked[repository] = allow_patterns
        return str(release)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    assert gumbelzoo.load("someone/catvae").sample(1).shape == (1, 1, 8, 8)
    assert asked == {"someone/catvae": ["config.json", "model.safetensors"]}


def test_a_hub_out_of_reach_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def snapshot_download(*_: Any, **__: Any) -> str:
        raise ConnectionError("no route\nto host")

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    with pytest.raises(ValueError, match=r"no folder 'someone/catvae' here.*no route$"):
        gumbelzoo.load("someone/catvae")


def test_nothing_is_overwritten(release: Path) -> None:
    before = (release / "config.json").read_bytes()
    with pytest.raises(ValueError, match="not overwritten"):
        gumbelzoo.save_pretrained(gumbelzoo.load(release), release)
    assert (release / "config.json").read_bytes() == before


def test_a_failed_save_leaves_nothing(release: Path) -> None:
    model = gumbelzoo.load(release)
    with pytest.raises(OSError, match="nowhere"):
        gumbelzoo.save_pretrained(model, release.parent / "broken", pictures={"a.png": Path("nowhere.png")})
    assert [path.name for path in release.parent.iterdir()] == ["release"]


def test_arguments_must_be_plain(release: Path) -> None:
    model = gumbelzoo.load(release)
    model.hparams["latents"] = torch.tensor(3)
    with pytest.raises(ValueError, match="no plain value"):
        gumbelzoo.save_pretrained(model, release.parent / "other")


def config(**changes: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "config.json"
        content = json.loads(path.read_text())
        content.update(changes)
        path.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))

    return change


def arguments(**changes: Any) -> Callable[[Path], None]:
    return config(arguments={**ARGUMENTS, **changes})


def text(content: str | bytes) -> Callable[[Path], None]:
    data = content if isinstance(content, bytes) else content.encode()
    return lambda folder: (folder / "config.json").write_bytes(data) and None


def weights(change: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        tensors = load_file(folder / "model.safetensors")
        change(tensors)
        save_file(tensors, folder / "model.safetensors")

    return apply


def raw(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        path = folder / "model.safetensors"
        path.write_bytes(change(path.read_bytes()))

    return apply


def header(content: dict[str, Any]) -> bytes:
    data = json.dumps(content).encode()
    return struct.pack("<Q", len(data)) + data


FAULTS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "no configuration": (lambda folder: (folder / "config.json").unlink(), "no release folder"),
    "empty configuration": (text(""), "config.json"),
    "not JSON": (text("{"), "config.json"),
    "not UTF-8": (text(b"\xff\xfe{}"), "config.json"),
    "a list": (text("[]"), "one JSON object"),
    "deeply nested": (text("[" * 100_000), "config.json"),
    "oversized": (text(" " * (2 << 20)), "larger than"),
    "no format": (config(format=None), "format None is not 1"),
    "another format": (config(format=2), "update gumbelzoo"),
    "an unexpected key": (config(modle="x"), "did you mean 'model'"),
    "no model": (config(model=None), "model"),
    "unknown model": (config(model="categorical_va"), "did you mean 'categorical_vae'"),
    "model of another type": (config(model=["categorical_vae"]), "'model' must be a name"),
    "arguments of another type": (config(arguments=[1]), "must be JSON objects"),
    "data of another type": (config(data="mnist"), "must be JSON objects"),
    "unknown argument": (arguments(latnts=3), "did you mean 'latents'"),
    "argument of another type": (arguments(latents="many"), "release"),
    "argument the model refuses": (arguments(categories=1), "categories"),
    "unknown estimator": (arguments(estimator="exat"), "did you mean 'exact'"),
    "other sizes": (arguments(latents=4), "has shape"),
    "enormous sizes": (arguments(latents=10**6, categories=10**6), "release"),
    "no weights": (lambda folder: (folder / "model.safetensors").unlink(), "model.safetensors is missing"),
    "weights are a folder": (
        lambda folder: (folder / "model.safetensors").unlink() or (folder / "model.safetensors").mkdir(),
        "no safetensors",
    ),
    "empty weights": (raw(lambda data: b""), "truncated or no safetensors"),
    "truncated weights": (raw(lambda data: data[:-4]), "truncated or no safetensors"),
    "truncated header": (raw(lambda data: data[:20]), "truncated or no safetensors"),
    "header beyond the file": (raw(lambda data: struct.pack("<Q", 1 << 60) + data[8:]), "truncated or no safetensors"),
    "a pickle": (raw(lambda data: b"\x80\x04N."), "truncated or no safetensors"),
    "offsets that lie": (
        raw(lambda data: header({"a": {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 4]}}) + b"\0" * 4),
        "truncated or no safetensors",
    ),
    "a tensor missing": (weights(lambda tensors: tensors.pop("output_bias")), "'output_bias' has shape missing"),
    "a tensor too many": (weights(lambda tensors: tensors.update(x=torch.zeros(1))), "no such tensor"),
    "another shape": (weights(lambda tensors: tensors.update(output_bias=torch.zeros(1))), "'output_bias' has shape"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_damaged_release_ends_in_one_line(fault: str, release: Path) -> None:
    damage, expected = FAULTS[fault]
    damage(release)
    before = {path.name for path in release.iterdir()}
    with pytest.raises(ValueError, match="release") as error:
        gumbelzoo.load(release)
    assert expected in str(error.value)
    assert "\n" not in str(error.value)
    assert {path.name for path in release.iterdir()} == before
