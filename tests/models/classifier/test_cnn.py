"""Convolutional classifier, whose features compare samples with data."""

from __future__ import annotations

from pathlib import Path

import gumbelzoo
import lightning as L
import pytest
import torch
from gumbelzoo.data import ImageData
from gumbelzoo.models.classifier.cnn import Classifier


def test_digits_are_learned_and_released(tmp_path: Path) -> None:
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    data = ImageData("digits", "none", batch_size=50)
    optimizer = {"learning_rate": 5e-3, "weight_decay": 0.01, "schedule": "cosine"}
    model = Classifier(image_shape=[1, 8, 8], widths=[16, 32], features=24, optimizer=optimizer)
    trainer = L.Trainer(max_epochs=10, accelerator="cpu", **quiet)
    trainer.fit(model, data)
    (metrics,) = trainer.test(model, data, verbose=False)
    assert metrics["test/accuracy"] > 0.9 and metrics["test/loss"] < 0.4
    loaded, x = gumbelzoo.load(gumbelzoo.save_pretrained(model, tmp_path / "features")), torch.rand(5, 1, 8, 8)
    assert loaded.features(x).shape == (5, 24) and torch.equal(loaded.features(x), model.eval().features(x))


def test_image_shape_mismatch_raises() -> None:
    """Also where the convolutions give as many features."""
    model = Classifier(image_shape=[1, 28, 28])
    for size in (32, 40):
        with pytest.raises(ValueError, match=rf"image_shape='\[1, {size}, {size}\]'"):
            model.features(torch.zeros(2, 1, size, size))


def test_every_parameter_gets_gradient() -> None:
    model = Classifier(image_shape=[3, 9, 7], classes=4)
    loss = model.training_metrics({"image": torch.rand(64, 3, 9, 7), "label": torch.arange(64) % 4})["loss"]
    loss.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.any(), name


def test_default_model_is_below_500_kb() -> None:
    assert 4 * sum(parameter.numel() for parameter in Classifier().parameters()) < 500_000


@pytest.mark.parametrize("training", [True, False])
def test_features_have_no_noise(training: bool) -> None:
    model, x = Classifier().train(training), torch.rand(3, 1, 28, 28)
    assert torch.equal(model.features(x), model.features(x))
