"""Cards of every model: samples of text models, and Python that runs."""

from __future__ import annotations

from typing import Any

import gumbelzoo
import pytest
import torch
from gumbelzoo.callbacks.figures import image_figures
from gumbelzoo.commands.run_folders.card import portable, renew_card, write_card
from gumbelzoo.models import MODELS
from gumbelzoo.train import main

FIT: dict[str, Any] = {"command": "fit", "seed": 0, "batches": 1, "minutes": 2, "hardware": "h", "commit": "c"}
TEST: dict[str, Any] = FIT | {
    "metrics": {"test/nll": 1.0},
    "data": {"data set": "names", "licence": "public domain"},
    "versions": {"torch": "2"},
    "checkpoint": "best.ckpt",
}
SMALL: dict[str, dict[str, Any]] = {
    "text_gan": {"vocabulary": {"tokens": ["<eos>", "a"]}, "max_length": 3},
    "code_prior": {"vqvae": {"image_shape": [1, 8, 8]}, "network": {"name": "pixelcnn", "width": 4, "depth": 1}},
}


@pytest.mark.parametrize("name", MODELS.names())
def test_python_of_the_card_runs(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = gumbelzoo.create_model(name, **SMALL.get(name, {"image_shape": [1, 8, 8]})).eval()
    card = write_card("tiny", model, FIT, TEST)
    assert f"A `{name}` of gumbelzoo. " in card
    assert "- licence: public domain" in card
    lines = card.partition("```python\n")[2].partition("```")[0]
    monkeypatch.setattr(gumbelzoo, "load", lambda given: {"tiny": model}[given], raising=False)
    images = gumbelzoo.create_model("categorical_vae", image_shape=[1, 8, 8]).sample(2).round()
    exec(compile(lines, "card", "exec"), {"images": images})


def test_samples_of_text_are_quoted() -> None:
    model = gumbelzoo.create_model("text_gan", **SMALL["text_gan"])
    card = write_card("tiny", model, FIT, TEST, sentences=["a | b", "```"])
    assert "~~~~text\na | b\n```\n~~~~\n" in card
    assert "2 samples" in card
    assert ".png" not in card


def test_vq_vae_card_opens_with_reconstructions() -> None:
    """Its own samples are noise; the card names the command that trains a prior."""
    model = gumbelzoo.create_model("vq_vae", image_shape=[1, 8, 8])
    assert "samples" not in model.card.pictures
    card = write_card("tiny", model, FIT, TEST, ["reconstructions.png"])
    opening = card.partition("## Data")[0]
    assert "![reconstructions](reconstructions.png)\n\nSamples like the data need a `code_prior`" in opening
    assert "`gumbelzoo fit --config prior_mnist --model.vqvae=tiny`" in opening


def test_samples_have_a_row_for_each_class() -> None:
    """Of a prior over classes; its picture is as high as they are many."""
    asked = []

    def sample(n: int, label: torch.Tensor | None = None, **_: Any) -> torch.Tensor:
        asked.append(label)
        return torch.zeros(n, 1, 8, 8)

    for classes in (0, 3):
        model = gumbelzoo.create_model("code_prior", **SMALL["code_prior"], classes=classes).eval()
        model.sample = sample
        image_figures(model, torch.rand(2, 1, 8, 8))
    assert asked[0] is None and asked[1].tolist() == [0] * 10 + [1] * 10 + [2] * 10


def test_licence_is_stated_only_if_named() -> None:
    """A card does not choose the licence of somebody's model."""
    model = gumbelzoo.create_model("text_gan", **SMALL["text_gan"])
    without, named = write_card("tiny", model, FIT, TEST), write_card("tiny", model, FIT, TEST, licence="mit")
    assert without.startswith("---\nlibrary_name: gumbelzoo\n---\n") and "No licence is stated" in without
    assert named.startswith("---\nlibrary_name: gumbelzoo\nlicense: mit\n---\n") and "No licence" not in named


@pytest.mark.parametrize("licence", ["", "Apache 2.0", "mit\nmodel: x", "a" * 65, "../mit"])
def test_licence_is_an_identifier(licence: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "no-run", "folder", f"--licence={licence}"]) == 2
    assert "--licence takes an identifier such as apache-2.0" in capfd.readouterr().err


def test_renewed_card_keeps_its_records() -> None:
    """And its licence; all else is what a new card says."""
    model = gumbelzoo.create_model("vq_vae", image_shape=[1, 8, 8])
    card = write_card("tiny", model, FIT, TEST, ["reconstructions.png"], licence="mit")
    old = card.replace("need a `code_prior`", "look bad").replace("## Use\n", "## Usage\n")
    assert old != card
    assert renew_card(old, "tiny", model, ["reconstructions.png"]) == card
    with pytest.raises(ValueError, match="not written by `export`"):
        renew_card("# A card of somebody else", "tiny", model)


def test_card_is_printable() -> None:
    """Names, samples and commands may hold escape sequences."""
    model = gumbelzoo.create_model("text_gan", **SMALL["text_gan"])
    escape = "\x1b[2J"
    fit = FIT | {"command": f"fit --config {escape}.yaml"}
    test = TEST | {"command": f"test {escape}", "data": {"data set": escape}}
    assert "\x1b" not in write_card(f"a{escape}", model, fit, test, sentences=[escape])


def test_portable_command_has_no_local_folder() -> None:
    where = "/somewhere/else"
    typed = f"python train.py fit --config {where}/gumbelzoo/configs/catvae_mnist.yaml --model.temperature=0.5 "
    typed += f"--trainer.default_root_dir={where}/board --model.vqvae={where}/runs/vqvae_mnist_ema/1"
    short = "python train.py fit --config configs/catvae_mnist.yaml --model.temperature=0.5"
    assert portable(typed) == f"{short} --model.vqvae=runs/vqvae_mnist_ema/1"
    assert portable(f"gumbelzoo test --ckpt_path {where}/best.ckpt") == "gumbelzoo test --ckpt_path best.ckpt"
    assert portable(f"{short} --ckpt_path last") == short
    assert portable(short) == short
