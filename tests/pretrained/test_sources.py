"""What a name means to ``load``: a folder here first, then a released name, then the hub at a revision."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path
from typing import Any

import gumbelzoo
import pytest
import torch
from gumbelzoo.pretrained import api, hub

MLP = {"name": "mlp", "hidden": [8]}
ARGUMENTS: dict[str, Any] = {"image_shape": [1, 8, 8], "latents": 3, "categories": 4, "encoder": MLP, "decoder": MLP}
NAME = "catvae-digits"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A release of the user's, in the home folder, under the name of one of the package's."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    return gumbelzoo.save_pretrained(gumbelzoo.create_model("categorical_vae", **ARGUMENTS), NAME)


def run_from(release: Path) -> None:
    """Turn a release folder into a run of the same model."""
    model = gumbelzoo.load(release)
    shutil.rmtree(release)
    (release / "checkpoints").mkdir(parents=True)
    (release / "config.yaml").write_text("model:\n  class_path: categorical_vae\n")
    content = {"state_dict": model.state_dict(), "loops": {}, "global_step": 1, "hyper_parameters": model.config()}
    torch.save(content, release / "checkpoints/best.ckpt")


@pytest.mark.parametrize("kind", ["release", "run"])
@pytest.mark.parametrize("name", [NAME, f"./{NAME}", f"~/{NAME}", f"x/../{NAME}", Path(NAME)])
def test_folder_here_comes_before_a_released_name(name: str | Path, kind: str, folder: Path) -> None:
    Path("x").mkdir()
    if kind == "run":
        run_from(folder)
    assert gumbelzoo.load(name).latents == 3


def test_checkpoint_in_the_home_folder_is_found(folder: Path) -> None:
    run_from(folder)
    assert gumbelzoo.load(f"~/{NAME}/checkpoints/best.ckpt").latents == 3


def test_other_folder_of_a_released_name_is_told(folder: Path) -> None:
    """It may be a release without its configuration, or a folder of runs: neither is passed over."""
    (folder / "config.json").unlink()
    with pytest.raises(
        ValueError, match=rf"has no config\.json; the released '{NAME}' is '.*/{NAME}', or .*'\./{NAME}'"
    ):
        gumbelzoo.load(NAME)
    assert gumbelzoo.load(api.RELEASED / NAME).latents == 10
    shutil.rmtree(folder)
    assert gumbelzoo.load(NAME).latents == 10


def test_release_is_changed_where_it_lies(folder: Path) -> None:
    assert gumbelzoo.create_model(NAME, pretrained=True, bound_samples=7).latents == 3
    folder.rename("vq_vae")
    assert gumbelzoo.create_model("vq_vae", pretrained=True).latents == 3


def test_file_is_no_source(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"is a file: a model is a release folder, a run folder or a \.ckpt"):
        gumbelzoo.load(folder / "config.json")


@pytest.mark.parametrize("name", ["~no-such-user/x", "x" * 5000, "a\0b"])
def test_impossible_path_is_one_short_line(name: str, folder: Path) -> None:
    with pytest.raises(ValueError, match=r"^'[^\n]{,90}' is no path: [^\n]{,80}$"):
        gumbelzoo.load(name)


def test_release_is_saved_in_the_home_folder(folder: Path) -> None:
    saved = gumbelzoo.save_pretrained(gumbelzoo.load(NAME), "~/deep/saved")
    assert saved == Path.home() / "deep/saved"
    assert not Path("~").exists()


FETCHED = {
    "user/name": ("user/name", None),
    "user/name@v1.0": ("user/name", "v1.0"),
    "user/name@refs/pr/1": ("user/name", "refs/pr/1"),
}


@pytest.mark.parametrize("name", FETCHED)
def test_hub_id_has_a_revision(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def fetch(repository: str, endpoint: str | None = None, revision: str | None = None) -> Any:
        asked.append((repository, revision))
        return api.Release(folder)

    monkeypatch.setattr(hub, "fetch", fetch)
    assert gumbelzoo.load(name).latents == 3
    assert asked == [FETCHED[name]]
    asked.clear()
    assert gumbelzoo.load("user/name", revision="v2").latents == 3
    assert asked == [("user/name", "v2")]


@pytest.mark.parametrize("name", [NAME, "catvae-mnist", "user/name@v1"])
def test_revision_of_no_hub_id_raises(name: str, folder: Path) -> None:
    with pytest.raises(ValueError, match=rf"'{name}' has no revision 'v2': only a hub id"):
        gumbelzoo.load(name, revision="v2")


@pytest.mark.parametrize("name", gumbelzoo.list_pretrained())
def test_release_is_pickled(name: str) -> None:
    model = gumbelzoo.load(name)
    again = pickle.loads(pickle.dumps(model))
    assert all(torch.equal(value, again.state_dict()[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize("name", ["catvae-digits", "vqvae-digits-ema", "structured-mnist"])
def test_forward_reconstructs(name: str) -> None:
    model = gumbelzoo.load(name)
    x = torch.rand(2, *model.image_shape).round()
    torch.manual_seed(0)
    expected = model.reconstruct(x)
    torch.manual_seed(0)
    assert torch.equal(model(x), expected)


@pytest.mark.parametrize(
    ("name", "verbs"),
    [("textgan-names", "model.sample"), ("features-mnist", "model.features, model.logits, model.probabilities")],
)
def test_forward_names_the_methods(name: str, verbs: str) -> None:
    with pytest.raises(NotImplementedError, match=rf"has no forward pass of its own; use {verbs}$"):
        gumbelzoo.load(name)(torch.zeros(1, 1, 28, 28))


def test_probabilities_of_classes() -> None:
    model, x = gumbelzoo.load("features-mnist"), torch.rand(5, 1, 28, 28)
    assert torch.equal(model.probabilities(x), model.logits(x).softmax(-1))
