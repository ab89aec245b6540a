"""What all classifiers of images share."""

from __future__ import annotations

import pytest
import torch
from gumbelzoo import create_model
from gumbelzoo.models import MODELS
from gumbelzoo.models.networks.image_classifier import ImageClassifier
from torch import Tensor

CLASSIFIERS = [name for name in MODELS if issubclass(MODELS[name], ImageClassifier)]


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_loss_of_16_bit_weights_is_float32(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In training and in evaluation, whose loss chooses the best checkpoint; bfloat16 has steps of 0.016 at 2.3."""
    model = create_model(name, image_shape=[1, 8, 8]).to(torch.bfloat16)
    batch = {"image": torch.rand(16, 1, 8, 8, dtype=torch.bfloat16), "label": torch.arange(16) % 10}
    logged: dict[str, Tensor] = {}
    monkeypatch.setattr(model, "log_dict", lambda named, **_: logged.update(named))
    assert model.training_metrics(batch)["loss"].dtype == torch.float32
    model.eval()._evaluate(batch, "val")
    assert logged["val/loss"].dtype == torch.float32
    assert logged.get("val/nll", logged["val/loss"]).dtype == torch.float32
