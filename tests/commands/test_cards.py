"""Cards of every model: samples of text models, and Python that runs."""

from __future__ import annotations

from typing import Any

import gumbelzoo
import pytest
from gumbelzoo.commands.card import portable, write_card
from gumbelzoo.models import MODELS

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


def test_portable_command_has_no_local_folder() -> None:
    where = "/somewhere/else"
    typed = f"python train.py fit --config {where}/gumbelzoo/configs/catvae_mnist.yaml --model.temperature=0.5 "
    typed += f"--trainer.default_root_dir={where}/board --model.vqvae={where}/runs/vqvae_mnist_ema/1"
    short = "python train.py fit --config configs/catvae_mnist.yaml --model.temperature=0.5"
    assert portable(typed) == f"{short} --model.vqvae=runs/vqvae_mnist_ema/1"
    assert portable(f"gumbelzoo test --ckpt_path {where}/best.ckpt") == "gumbelzoo test --ckpt_path best.ckpt"
    assert portable(f"{short} --ckpt_path last") == short
    assert portable(short) == short
