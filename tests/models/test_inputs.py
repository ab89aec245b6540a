"""Data modules of one's own: what they lack is measured, and what does not fit is named before training."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gumbelzoo
import pytest
import torch
from gumbelzoo import data
from gumbelzoo.models import inputs
from gumbelzoo.models.vqvae.frozen import frozen_vqvae
from lightning.pytorch import LightningDataModule, Trainer
from torch.utils.data import DataLoader

CODES = {"image_shape": [1, 8, 8], "dim": 4, "quantizer": {"name": "vector", "codebook_size": 8}}
VAE = {"image_shape": [1, 8, 8], "latents": 3, "encoder": {"name": "mlp", "hidden": [8]}}
CLASSIFIER = {"image_shape": [1, 8, 8], "widths": [4], "features": 4}


class Own(LightningDataModule):
    """Batches of given rows, shuffled in training, without any attribute that models may read."""

    def __init__(self, rows: list[Any]) -> None:
        super().__init__()
        self.rows = rows

    def train_dataloader(self) -> DataLoader:
        return DataLoader(self.rows, batch_size=7, shuffle=True)

    def val_dataloader(self) -> DataLoader:
        return DataLoader(self.rows, batch_size=7)

    test_dataloader = val_dataloader


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(40, 1, 8, 8, generator=torch.Generator().manual_seed(0)) ** 2


def rows(images: torch.Tensor, **others: Any) -> list[dict[str, Any]]:
    return [{"image": image, **{name: value[i] for name, value in others.items()}} for i, image in enumerate(images)]


def short(limit_val_batches: int = 0) -> Trainer:
    quiet: dict[str, Any] = dict.fromkeys(
        ["logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"], False
    )
    return Trainer(max_steps=1, accelerator="cpu", limit_val_batches=limit_val_batches, **quiet)


def fit(model: Any, source: Any) -> Any:
    short().fit(model, datamodule=source)
    return model


def test_nmse_is_of_measured_variance(images: torch.Tensor) -> None:
    """It was silently relative to 1/12, the variance of uniform noise."""
    model = fit(gumbelzoo.create_model("vq_vae", **CODES), Own(rows(images)))
    assert float(model.likelihood.data_variance) == pytest.approx(float(images.var(correction=0)), rel=1e-5)
    assert float(model.likelihood.data_mean) == pytest.approx(float(images.mean()), rel=1e-5)


def test_base_rate_is_measured(images: torch.Tensor) -> None:
    model = fit(gumbelzoo.create_model("categorical_vae", **VAE), Own(rows(images.round())))
    torch.testing.assert_close(model.base_rate, images.round().mean(0))


def test_measuring_is_bounded_and_draws_nothing(images: torch.Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    """An endless loader is left, and the draws of training stay those of its seed."""

    class Endless(Own):
        asked = 0

        def train_dataloader(self) -> Iterator[dict[str, torch.Tensor]]:  # type: ignore[override]
            while True:
                self.asked += 1
                yield {"image": images[torch.randperm(40)]}

    monkeypatch.setattr(inputs, "MEASURED", 100)
    source = Endless([])
    torch.manual_seed(0)
    measured = inputs.training_pixels(source, "mean", "variance")
    after = torch.rand(3)
    torch.manual_seed(0)
    assert torch.equal(after, torch.rand(3))
    assert source.asked == 3
    torch.testing.assert_close(measured.mean, images.mean(0))


def test_data_module_with_statistics_is_not_measured() -> None:
    digits = data.ImageData("digits", "none")
    assert inputs.training_pixels(digits, "mean", "variance") is digits


def test_vq_vae_without_data_module_warns(images: torch.Tensor) -> None:
    model = gumbelzoo.create_model("vq_vae", **CODES)
    loader = DataLoader(rows(images), batch_size=7)
    with pytest.warns(UserWarning, match=r"call model\.initialise"):
        short().fit(model, loader, loader)  # type: ignore[arg-type]


@pytest.mark.parametrize("stage", ["fit", "validate", "test"])
@pytest.mark.parametrize("name", ["categorical_vae", "gaussian_vae", "structured_prediction"])
def test_grey_images_for_a_model_of_binary_ones(name: str, stage: str, images: torch.Tensor) -> None:
    """Their cross-entropy was logged as a bound on -log p."""
    model = gumbelzoo.create_model(name, image_shape=[1, 8, 8], bound_samples=2)
    run = getattr(short(limit_val_batches=int(stage == "validate")), stage)
    with pytest.raises(ValueError, match=r"^this model is of binary images, .*--data\.binarization=static, in Python"):
        run(model, datamodule=Own(rows(images)))
    run(model, datamodule=Own(rows(images.round())))


@pytest.mark.parametrize("name", ["categorical_vae", "gaussian_vae", "vq_vae", "classifier", "structured_prediction"])
def test_text_for_a_model_of_images(name: str) -> None:
    """Nothing is read or downloaded before."""
    model = gumbelzoo.create_model(name, image_shape=[1, 8, 8])
    with pytest.raises(ValueError, match=r"^this model learns from images: use --data=images$"):
        fit(model, data.TextData("grammar"))
    source = data.TextData("captions", root="/nowhere")
    with pytest.raises(ValueError, match="learns from images"):
        inputs.check_source(source, model.batch_key)


def test_images_for_a_model_of_text() -> None:
    model = gumbelzoo.create_model("text_gan")
    with pytest.raises(ValueError, match=r"^this model learns from text: use --data=text$"):
        fit(model, data.ImageData("digits", "none"))
    with pytest.raises(ValueError, match="learns from text"):
        inputs.check_source(data.ImageData("mnist", root="/nowhere"), "tokens")


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ((torch.zeros(1), torch.zeros(1)), "a batch must be a dictionary with 'image', got a tuple"),
        (torch.zeros(1), "a batch must be a dictionary with 'image', got a Tensor"),
        ({"x": torch.zeros(1), "y": torch.zeros(1)}, "a batch must have 'image', and it has x, y"),
    ],
)
def test_batch_of_another_form(batch: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        inputs.check_batch(batch, "image")


def test_tuples_are_named_before_training(images: torch.Tensor) -> None:
    """The batches of torchvision's data sets are pairs."""
    for name, arguments in (("vq_vae", CODES), ("classifier", CLASSIFIER)):
        with pytest.raises(ValueError, match="must be a dictionary with 'image', got a list"):
            fit(gumbelzoo.create_model(name, **arguments), Own([(image, 0) for image in images]))


# -- classes ----------------------------------------------------------------------------------------------------------


def test_too_few_classes_are_named() -> None:
    """Of a classifier and of a prior, before the first step."""
    digits = data.ImageData("digits", "none")
    vqvae = gumbelzoo.create_model("vq_vae", **CODES)
    vqvae.initialise(float(digits.mean.mean()), digits.variance)
    network = {"name": "pixelcnn", "width": 4, "depth": 1}
    for model in (
        gumbelzoo.create_model("classifier", **CLASSIFIER, classes=5),
        gumbelzoo.create_model("code_prior", vqvae=vqvae, network=network, classes=5),
    ):
        with pytest.raises(ValueError, match=r"the data has 10 classes and the model 5: set --model.classes=10"):
            fit(model, digits)


def test_labels_of_own_data(images: torch.Tensor) -> None:
    """A data module that does not say its classes is checked batch by batch."""
    labels = torch.arange(40) % 7
    model = gumbelzoo.create_model("classifier", **CLASSIFIER, classes=5)
    with pytest.raises(ValueError, match=r"labels must lie in \[0, 5\), got 0 to 6; set --model.classes"):
        model.training_metrics({"image": images, "label": labels})
    with pytest.raises(ValueError, match="the data has none"):
        model.training_metrics({"image": images})
    fit(gumbelzoo.create_model("classifier", **CLASSIFIER, classes=7), Own(rows(images, label=labels)))


def test_classes_of_a_data_set() -> None:
    assert data.ImageData("digits", "none").classes == 10


def test_prior_of_something_else() -> None:
    with pytest.raises(ValueError, match="vqvae must be a VQ-VAE or the arguments of one, got a list"):
        frozen_vqvae([1])
    with pytest.raises(ValueError, match="got a categorical_vae"):
        frozen_vqvae(gumbelzoo.create_model("categorical_vae", **VAE))
