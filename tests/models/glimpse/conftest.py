"""A glimpse classifier that is small enough to enumerate: four places, three classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from gumbelzoo.models import GlimpseClassifier
from torch import Tensor

SMALL = {
    "image_shape": (1, 6, 6),
    "classes": 3,
    "glimpses": 2,
    "grid": 2,
    "window": 3,
    "scales": 2,
    "hidden": 6,
    "places": "policy",
}


@pytest.fixture
def make() -> Callable[..., GlimpseClassifier]:
    """Arguments to a model of fixed weights, with logits of a few units."""

    def made(**arguments: Any) -> GlimpseClassifier:
        model = GlimpseClassifier(**{**SMALL, **arguments})
        torch.manual_seed(0)  # an estimator with a network has drawn numbers too
        model.build_network(model.require_size())
        with torch.no_grad():
            for layer in (model.network.head, model.network.where, *model.network.places.parameters()):
                (layer if isinstance(layer, Tensor) else layer.weight).mul_(3)
        return model.train()

    return made


@pytest.fixture
def scene() -> tuple[Tensor, Tensor, Tensor]:
    """Two images, their labels and centres."""
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(2, 1, 6, 6, generator=generator).round()
    return images, torch.tensor([2, 0]), torch.tensor([[1.0, 1.0], [4.0, 5.0]])
