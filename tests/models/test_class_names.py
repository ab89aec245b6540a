"""Names of classes: from the data into a model and its release, and wherever a number is taken."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import gumbelzoo
import lightning as L
import pytest
import torch
from gumbelzoo.data import ImageData, TextData
from gumbelzoo.models import class_names
from gumbelzoo.models.class_names import class_number, named_classes, read_classes
from PIL import Image

LSTM = {"name": "lstm", "width": 8, "hidden": 8}
MODELS: dict[str, dict[str, Any]] = {
    "text_gan": {"generator": LSTM},
    "text_vae": {"generator": LSTM, "encoder": {"hidden": 4}, "latent": {"name": "gaussian", "latents": 2}},
}
VQVAE: dict[str, Any] = {
    "image_shape": [1, 8, 8],
    "dim": 2,
    "encoder": {"name": "conv", "widths": [2]},
    "decoder": {"name": "conv", "widths": [2]},
    "quantizer": {"name": "gumbel", "codebook_size": 4},
}


class Named:
    """A source of three classes, or of those given."""

    def __init__(self, *names: str) -> None:
        self.class_names, self.classes = names, len(names)


def trainer(**options: Any) -> L.Trainer:
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    return L.Trainer(accelerator="cpu", **{**quiet, **options})


def languages() -> TextData:
    """Sentences of two languages, with their names."""
    draw = random.Random(0).choices
    lines = ["".join(draw(("xyz", "abc")[i % 2], k=6)) for i in range(300)]
    return TextData.from_lines(lines, labels=["late", "early"] * 150, level="character", batch_size=50)


@pytest.mark.parametrize("name", MODELS)
def test_names_travel_in_a_release(name: str, tmp_path: Path) -> None:
    """A model takes the names from its data; its release samples by name what it samples by number."""
    model = gumbelzoo.create_model(name, classes=2, **MODELS[name])
    trainer(max_steps=1, limit_val_batches=0).fit(model, languages())
    assert model.class_names == ("early", "late") and model.config()["classes"] == ["early", "late"]
    folder = gumbelzoo.save_pretrained(model, tmp_path / "released")
    assert json.loads((folder / "config.json").read_text())["arguments"]["classes"] == ["early", "late"]
    again = gumbelzoo.load(folder)
    for number, label in enumerate(("early", "late")):
        seeds = [torch.Generator().manual_seed(0) for _ in range(2)]
        assert again.sample(9, label=label, generator=seeds[0]) == again.sample(9, label=number, generator=seeds[1])
    with pytest.raises(ValueError, match="unknown label: 'erly'; did you mean 'early'\\? known: early, late"):
        again.sample(2, label="erly")
    if name == "text_vae":
        assert again.encode(["abc"], "late").equal(again.encode(["abc"], 1))
        assert again.reconstruct(["abc"], "late") == again.reconstruct(["abc"], 1)
        with pytest.raises(ValueError, match="depends on labels: give label, early or late"):
            again.encode(["abc"])


@pytest.mark.parametrize("name", MODELS)
def test_more_classes_than_the_data_names(name: str) -> None:
    """Refused before training: the weights would be of three classes, and the configuration of two."""
    model = gumbelzoo.create_model(name, classes=3, **MODELS[name])
    with pytest.raises(ValueError, match=r"the data names 2 classes and the model has 3: set --model\.classes=2"):
        trainer(max_steps=1, limit_val_batches=0).fit(model, languages())


def test_names_are_in_a_checkpoint(tmp_path: Path) -> None:
    """A run that is resumed, or tested, knows them."""
    model = gumbelzoo.create_model("text_gan", classes=2, **MODELS["text_gan"])
    training = trainer(max_steps=1, limit_val_batches=0)
    training.fit(model, languages())
    training.save_checkpoint(tmp_path / "a.ckpt")
    arguments = torch.load(tmp_path / "a.ckpt", weights_only=True)["hyper_parameters"]
    assert arguments["classes"] == ["early", "late"] == list(type(model)(**arguments).class_names)
    started = gumbelzoo.create_model("text_gan", init_from=model)
    assert started.class_names == model.class_names and started.classes == 2


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_prior_knows_names_of_pictures(tmp_path: Path) -> None:
    """A folder of pictures names its classes, and a prior of their codes samples by name."""
    for number in range(60):
        place = tmp_path / "pictures" / ("cats", "dogs")[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8), number).save(place / f"{number}.png")
    data = ImageData("folder", path=str(tmp_path / "pictures"), size=8, channels=1, batch_size=8)
    assert data.class_names == ("cats", "dogs")
    prior = gumbelzoo.create_model("code_prior", vqvae=VQVAE, network={"name": "pixelcnn", "width": 4}, classes=2)
    trainer(max_steps=1, limit_val_batches=0).fit(prior, data)
    again = gumbelzoo.load(gumbelzoo.save_pretrained(prior, tmp_path / "prior"))
    seeds = [torch.Generator().manual_seed(0) for _ in range(2)]
    named = again.sample_codes(5, label="dogs", generator=seeds[0])
    assert named.equal(again.sample_codes(5, label=1, generator=seeds[1]))
    with pytest.raises(ValueError, match="unknown label: 'birds'; known: cats, dogs"):
        again.sample(2, label="birds")


def test_names_or_their_number() -> None:
    assert read_classes(3) == (3, ()) and read_classes(["a", "b"]) == (2, ("a", "b")) and read_classes(0) == (0, ())
    assert class_number(["b", 0], ["a", "b"]).tolist() == [1, 0]  # type: ignore[union-attr]
    assert class_number("b", ["a", "b"]) == 1 and class_number(1, []) == 1 and class_number(None, []) is None
    with pytest.raises(ValueError, match="this model has no named classes: give a number in the place of 'a'"):
        class_number("a", [])


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (-1, "classes must be a whole number >= 0, got -1"),
        (["a", "a"], "classes must have different names, got a, a"),
        ([], "classes=0"),
    ],
)
def test_impossible_classes(classes: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_classes(classes)


def test_names_of_the_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are taken once; data with other names, or in another order, would be other classes."""
    source = Named("a", "b", "c")
    assert named_classes(source, 3, ()) == ("a", "b", "c") == named_classes(None, 3, ("a", "b", "c"))
    assert named_classes(source, 0, ()) == () == named_classes(object(), 3, ())
    assert named_classes(Named("a", "b"), 3, ("a", "b", "c")) == ("a", "b", "c")
    for other in (Named("b", "a", "c"), Named("b", "c")):
        with pytest.raises(ValueError, match="the model's classes are a, b, c, and those of the data are b, "):
            named_classes(other, 3, ("a", "b", "c"))
    with pytest.raises(ValueError, match=r"the data has 3 classes and the model 2: set --model\.classes=3"):
        named_classes(source, 2, ())
    with pytest.raises(ValueError, match=r"the data names 3 classes and the model has 4: set --model\.classes=3"):
        named_classes(source, 4, ())
    monkeypatch.setattr(class_names, "MOST_BYTES", 10)
    assert named_classes(source, 3, ()) == ()
