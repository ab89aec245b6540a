"""Run folders read back as models, and what can be wrong with one."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gumbelzoo
import pytest
import torch

ARGUMENTS: dict[str, Any] = {"image_shape": [1, 8, 8], "latents": 3, "categories": 4, "hidden": [8]}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """What ``fit`` leaves, as far as loading goes."""
    tmp_path /= "10"
    model = gumbelzoo.create_model("categorical_vae", **ARGUMENTS)
    (tmp_path / "checkpoints").mkdir(parents=True)
    (tmp_path / "config.yaml").write_text("model:\n  class_path: gumbelzoo.models.CategoricalVAE\n")
    content = {"state_dict": model.state_dict(), "loops": {}, "global_step": 1, "hyper_parameters": dict(model.hparams)}
    torch.save(content, tmp_path / "checkpoints/best.ckpt")
    return tmp_path


def change(run: Path, function: Callable[[dict[str, Any]], object]) -> None:
    content = torch.load(run / "checkpoints/best.ckpt", weights_only=True)
    function(content)
    torch.save(content, run / "checkpoints/best.ckpt")


def test_a_run_is_loaded(run: Path) -> None:
    assert gumbelzoo.load(run).sample(2).shape == (2, 1, 8, 8)


def test_a_run_without_its_number_names_the_newest(run: Path) -> None:
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
def test_a_checkpoint_that_does_not_fit_is_one_line_that_names_it(
    run: Path, function: Callable[[dict[str, Any]], object], message: str
) -> None:
    change(run, function)
    with pytest.raises(ValueError, match=rf"^[^\n]*best\.ckpt[^\n]*{message}[^\n]*$"):
        gumbelzoo.load(run)


def test_a_truncated_checkpoint_is_named(run: Path) -> None:
    path = run / "checkpoints/best.ckpt"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"best\.ckpt is truncated"):
        gumbelzoo.load(run)
