"""What all classifiers of images share."""

from __future__ import annotations

import pytest
import torch
from gumbelzoo import create_model
from gumbelzoo.models import MODELS
from gumbelzoo.models.networks.image_classifier import ImageClassifier

CLASSIFIERS = [name for name in MODELS if issubclass(MODELS[name], ImageClassifier)]


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_loss_of_16_bit_weights_is_float32(name: str) -> None:
    """In training and in evaluation, whose loss chooses the best checkpoint; bfloat16 has steps of 0.016 at 2.3."""
    model = create_model(name, image_shape=[1, 8, 8]).to(torch.bfloat16)
    batch = {"image": torch.rand(16, 1, 8, 8, dtype=torch.bfloat16), "label": torch.arange(16) % 10}
    assert model.training_metrics(batch)["loss"].dtype == torch.float32
    metrics = model.eval().evaluate(batch, "val")
    assert metrics["loss"].dtype == metrics.get("nll", metrics["loss"]).dtype == torch.float32


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_images_without_labels_are_refused(name: str) -> None:
    """In evaluation as in training: ``gumbelzoo test`` and the check before training begin with evaluation."""
    model = create_model(name, image_shape=[1, 8, 8])
    batch = {"image": torch.rand(2, 1, 8, 8)}
    for metrics in (model.training_metrics, lambda batch: model.eval().evaluate(batch, "val")):
        with pytest.raises(ValueError, match="the data has none: a batch must have 'label'"):
            metrics(batch)
