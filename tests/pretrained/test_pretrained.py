"""Releases are written, listed and loaded; ``test_malformed_releases`` has those that are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gumbelzoo
import pytest
import torch
from gumbelzoo.pretrained import api
from gumbelzoo.pretrained.config import read_config
from safetensors.torch import load_file, save_file

ARGUMENTS: dict[str, Any] = {
    "image_shape": [1, 8, 8],
    "latents": 3,
    "categories": 4,
    "encoder": {"name": "mlp", "hidden": [8]},
    "decoder": {"name": "mlp", "hidden": [8]},
}


@pytest.fixture
def release(tmp_path: Path) -> Path:
    model = gumbelzoo.create_model("categorical_vae", **ARGUMENTS)
    return gumbelzoo.save_pretrained(model, tmp_path / "release", card="# a card", data={"class": "images"})


def test_saved_model_is_loaded_equal(release: Path) -> None:
    model = gumbelzoo.create_model("categorical_vae", **ARGUMENTS)
    folder = gumbelzoo.save_pretrained(model, release.parent / "second")
    loaded = gumbelzoo.load(folder)
    assert not loaded.training
    assert loaded.config() == model.config()
    assert json.loads((folder / "config.json").read_text())["arguments"] == model.config()
    assert all(torch.equal(value, loaded.state_dict()[name]) for name, value in model.state_dict().items())
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "config.json", "model.safetensors"]


def test_released_name_is_listed_and_loaded(release: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "RELEASED", release.parent)
    assert gumbelzoo.list_pretrained() == ["release"]
    assert gumbelzoo.list_pretrained("x*") == []
    assert gumbelzoo.load("release").sample(2).shape == (2, 1, 8, 8)
    with pytest.raises(ValueError, match="did you mean 'release'"):
        gumbelzoo.load("relaese")


def test_existing_folder_is_not_overwritten(release: Path) -> None:
    before = (release / "config.json").read_bytes()
    with pytest.raises(ValueError, match="not overwritten"):
        gumbelzoo.save_pretrained(gumbelzoo.load(release), release)
    assert (release / "config.json").read_bytes() == before


def test_failed_save_leaves_nothing(release: Path) -> None:
    model = gumbelzoo.load(release)
    with pytest.raises(OSError, match="nowhere"):
        gumbelzoo.save_pretrained(model, release.parent / "broken", pictures={"a.png": Path("nowhere.png")})
    assert [path.name for path in release.parent.iterdir()] == ["release"]


def test_argument_that_is_not_plain_raises(release: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = gumbelzoo.load(release)
    monkeypatch.setattr(model, "config", lambda: {"latents": torch.tensor(3)})
    with pytest.raises(ValueError, match="'arguments' of a categorical_vae is not plain"):
        gumbelzoo.save_pretrained(model, release.parent / "other")


def test_unloadable_release_is_not_saved(release: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = gumbelzoo.load(release)
    folder = release.parent / "other"
    with pytest.raises(ValueError, match="names a place on a machine"):
        gumbelzoo.save_pretrained(model, folder, data={"class": "images", "arguments": {"root": "/somewhere"}})
    config = {**model.config(), "temperature": {"name": "cosine", "steps": 20_000_000}}
    monkeypatch.setattr(model, "config", lambda: config)
    with pytest.raises(ValueError, match="beyond 10000000"):
        gumbelzoo.save_pretrained(model, folder)
    assert sorted(path.name for path in release.parent.iterdir()) == ["release"]


def test_metrics_and_weights_must_be_finite(release: Path) -> None:
    model = gumbelzoo.load(release)
    with pytest.raises(ValueError, match="'test' of a categorical_vae is not plain"):
        gumbelzoo.save_pretrained(model, release.parent / "other", test={"metrics": {"test/elbo": float("nan")}})
    torch.nn.init.constant_(model.output_bias, float("nan"))
    with pytest.raises(ValueError, match="'output_bias' holds NaN"):
        gumbelzoo.save_pretrained(model, release.parent / "other")
    weights = load_file(release / "model.safetensors")
    weights["output_bias"][0, 0, 0] = float("inf")
    save_file(weights, release / "model.safetensors")
    with pytest.raises(ValueError, match="'output_bias' holds NaN or infinity"):
        gumbelzoo.load(release)
    assert [path.name for path in release.parent.iterdir()] == ["release"]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_any_precision_is_saved_in_float32(release: Path, dtype: torch.dtype) -> None:
    model = gumbelzoo.load(release).to(dtype)
    loaded = gumbelzoo.load(gumbelzoo.save_pretrained(model, release.parent / "other"))
    for name, value in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value.float() if value.is_floating_point() else value)


def test_picture_outside_the_folder_raises(release: Path) -> None:
    model, picture = gumbelzoo.load(release), release / "README.md"
    for name in ("../x.png", "/x.png", "model.safetensors", "a/b.png"):
        with pytest.raises(ValueError, match=f"not '{name}'"):
            gumbelzoo.save_pretrained(model, release.parent / "other", pictures={name: picture})
    assert [path.name for path in release.parent.iterdir()] == ["release"]


def test_dangling_link_is_not_written_through(release: Path) -> None:
    link = release.parent / "link"
    link.symlink_to(release.parent / "target")
    with pytest.raises(ValueError, match="not overwritten"):
        gumbelzoo.save_pretrained(gumbelzoo.load(release), link)


def test_release_with_other_arguments(release: Path) -> None:
    model = gumbelzoo.create_model(str(release), pretrained=True, bound_samples=7, temperature=0.5)
    plain = gumbelzoo.load(release)
    assert not model.training
    assert (model.config()["bound_samples"], model.config()["temperature"]) == (7, 0.5)
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in plain.state_dict().items())
    with pytest.raises(ValueError, match=r"release with latents=4: .* has shape"):
        gumbelzoo.create_model(str(release), pretrained=True, latents=4)
    with pytest.raises(ValueError, match="did you mean 'latents'"):
        gumbelzoo.create_model(str(release), pretrained=True, latens=4)


def test_model_and_release_names_mixed_up(release: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "RELEASED", release.parent)
    with pytest.raises(ValueError, match=r"'release' is a released checkpoint: add pretrained=True"):
        gumbelzoo.create_model("release")
    with pytest.raises(ValueError, match=r"'categorical_vae' is a model, and its releases .* own: release$"):
        gumbelzoo.create_model("categorical_vae", pretrained=True)
    with pytest.raises(ValueError, match="did you mean 'categorical_vae'"):
        gumbelzoo.create_model("categorical_vea")
    with pytest.raises(ValueError, match="did you mean 'release'"):
        gumbelzoo.create_model("relase", pretrained=True)


def test_half_precision(release: Path) -> None:
    model = gumbelzoo.load(release)
    model.output_bias.data[0, 0, 0] = 1e6  # beyond float16
    model.relaxed.step.fill_(100_001)
    folder = gumbelzoo.save_pretrained(model, release.parent / "half", half=True)
    stored, loaded = load_file(folder / "model.safetensors"), gumbelzoo.load(folder)
    assert read_config(folder).precision == "half"
    assert stored["encoder.1.weight"].dtype == torch.float16
    assert stored["output_bias"].dtype == torch.bfloat16
    assert (folder / "model.safetensors").stat().st_size < 0.75 * (release / "model.safetensors").stat().st_size
    for name, value in model.state_dict().items():
        again = loaded.state_dict()[name]
        assert again.dtype == value.dtype
        torch.testing.assert_close(again, value, rtol=2**-8 if name == "output_bias" else 2**-11, atol=2**-25)
    assert int(loaded.relaxed.step) == 100_001


def test_config_yaml_in_a_release_is_not_read(release: Path) -> None:
    (release / "config.yaml").write_text("!!python/object/apply:os.system ['touch exploded']")
    assert gumbelzoo.load(release).sample(1).shape == (1, 1, 8, 8)
