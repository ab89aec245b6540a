"""Run folders read as models, and their faults."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gumbelzoo
import pytest
import torch
from gumbelzoo.models import CategoricalVAE
from gumbelzoo.pretrained.run import Run

ARGUMENTS: dict[str, Any] = {
    "image_shape": [1, 8, 8],
    "latents": 3,
    "categories": 4,
    "encoder": {"name": "mlp", "hidden": [8]},
    "decoder": {"name": "mlp", "hidden": [8]},
}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run folder as ``fit`` leaves it, as far as loading goes."""
    tmp_path /= "10"
    model = gumbelzoo.create_model("categorical_vae", **ARGUMENTS)
    (tmp_path / "checkpoints").mkdir(parents=True)
    (tmp_path / "config.yaml").write_text("model:\n  class_path: categorical_vae\n")
    content = {"state_dict": model.state_dict(), "loops": {}, "global_step": 1, "hyper_parameters": model.config()}
    torch.save(content, tmp_path / "checkpoints/best.ckpt")
    return tmp_path


def change(run: Path, function: Callable[[dict[str, Any]], object]) -> None:
    content = torch.load(run / "checkpoints/best.ckpt", weights_only=True)
    function(content)
    torch.save(content, run / "checkpoints/best.ckpt")


def test_run_is_loaded(run: Path) -> None:
    assert gumbelzoo.load(run).sample(2).shape == (2, 1, 8, 8)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_loaded_weights_are_the_models_own(dtype: torch.dtype, run: Path) -> None:
    """In float32, whatever the precision of the run, and in memory that no other model of the run has."""
    change(run, lambda content: content["state_dict"].update(gumbelzoo.load(run).to(dtype).state_dict()))
    found = Run(run)
    first, second = found.load_model(), found.load_model()
    assert {parameter.dtype for parameter in first.parameters()} == {torch.float32}
    with torch.no_grad():
        first.output_bias.fill_(7)  # type: ignore[union-attr, operator]
    assert not (second.output_bias == 7).any()  # type: ignore[union-attr]


def test_folder_of_runs_names_the_newest(run: Path) -> None:
    shutil.copytree(run, run.parent / "9")
    (run.parent / "²").mkdir()
    with pytest.raises(ValueError, match=r"did you mean its newest run, '[^']*/10'\?"):
        gumbelzoo.load(run.parent)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda content: content["hyper_parameters"].update(latens=3), "did you mean 'latents'"),
        (lambda content: content["hyper_parameters"].update(latents=4), "size mismatch"),
        (lambda content: content["hyper_parameters"].update(latents=[4]), "does not fit this version"),
        (lambda content: content["state_dict"].pop("output_bias"), "output_bias"),
        (lambda content: content.pop("loops"), "no checkpoint of `fit`"),
    ],
)
def test_unfit_checkpoint_raises_one_line(
    run: Path, function: Callable[[dict[str, Any]], object], message: str
) -> None:
    change(run, function)
    with pytest.raises(ValueError, match=rf"^[^\n]*best\.ckpt[^\n]*{message}[^\n]*$"):
        gumbelzoo.load(run)


def test_truncated_checkpoint_is_named(run: Path) -> None:
    path = run / "checkpoints/best.ckpt"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"best\.ckpt is damaged"):
        gumbelzoo.load(run)


def test_inverted_bytes_are_found(run: Path) -> None:
    """Within a tensor, where ``torch.load`` reads them as weights."""
    path = run / "checkpoints/best.ckpt"
    content = bytearray(path.read_bytes())
    weights = gumbelzoo.load(run).state_dict()["encoder.1.weight"].numpy().tobytes()
    place = bytes(content).index(weights)
    content[place : place + 200] = bytes(255 - byte for byte in content[place : place + 200])
    path.write_bytes(content)
    torch.load(path, weights_only=True)
    with pytest.raises(
        ValueError, match=r"^[^\n]*best\.ckpt is damaged [^\n]*checksum of [^\n]* is wrong; copy it again"
    ):
        gumbelzoo.load(run)


@pytest.mark.parametrize("class_path", ["CategoricalVAE", "gumbelzoo.models.CategoricalVAE"])
def test_run_of_an_earlier_layout_raises(class_path: str, run: Path) -> None:
    (run / "config.yaml").write_text(f"model:\n  class_path: {class_path}\n")
    message = rf"layout of an earlier gumbelzoo \('{class_path}' is now 'categorical_vae'\); train the model again"
    with pytest.raises(ValueError, match=message):
        gumbelzoo.load(run)


class OwnVAE(CategoricalVAE):
    """A user's class, in no registry."""


def test_run_of_an_imported_class_is_loaded(run: Path) -> None:
    (run / "config.yaml").write_text(f"model:\n  class_path: {__name__}.OwnVAE\n")
    assert type(gumbelzoo.load(run)) is OwnVAE


@pytest.mark.parametrize("class_path", ["own_models.OwnVAE", "os.system", "antigravity.fly", "json.JSONDecoder"])
def test_class_path_imports_nothing(class_path: str, run: Path) -> None:
    """A file must not make us import a module, nor build a class that is no model."""
    imported = set(sys.modules)
    (run / "config.yaml").write_text(f"model:\n  class_path: {class_path}\n")
    with pytest.raises(ValueError, match=f"unknown model: '{class_path}'"):
        gumbelzoo.load(run)
    assert set(sys.modules) == imported


FOREIGN = {
    "model: [": r"config\.yaml: it is no YAML",
    "!!python/object/apply:os.system [touch exploded]": r"config\.yaml: a value is not plain",
    "{}": r"config\.yaml was not written by `fit`: it names no model",
    "model: x": r"config\.yaml was not written by `fit`: it names no model",
    "model: {class_path: [x]}": r"config\.yaml was not written by `fit`: it names no model",
    "model: {class_path: vq_vae, init_args: 3}": r"was not written by `fit`: init_args of model is no mapping",
}


@pytest.mark.parametrize("text", FOREIGN)
def test_foreign_config_yaml_raises(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run/checkpoints").mkdir(parents=True)
    (tmp_path / "run/config.yaml").write_text(text)
    torch.save({"state_dict": {}, "loops": {}, "global_step": 0}, tmp_path / "run/checkpoints/best.ckpt")
    with pytest.raises(ValueError, match=FOREIGN[text]):
        gumbelzoo.load("run")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
