"""Every quantizer in the forms that matter, small enough for brute force."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from gumbelzoo.models.quantizers import QUANTIZERS, Quantizer

SMALL: dict[str, Any] = {"codebook_size": 6}
PARTS: dict[str, Any] = {"codebooks": 2, "quantizer_options": SMALL}
FORMS: dict[str, tuple[str, dict[str, Any]]] = {
    "vector": ("vector", SMALL),
    "vector, loss": ("vector", {**SMALL, "update": "loss"}),
    "vector, cosine": ("vector", {**SMALL, "cosine": True}),
    "vector, cosine and loss": ("vector", {**SMALL, "cosine": True, "update": "loss"}),
    "vector, rotation": ("vector", {**SMALL, "gradient": "rotation"}),
    "gumbel": ("gumbel", SMALL),
    "gumbel, straight-through": ("gumbel", {**SMALL, "estimator": "straight_through_gumbel_softmax"}),
    "gumbel, linear": ("gumbel", {**SMALL, "logits": "linear"}),
    "gumbel, product": ("gumbel", {**SMALL, "codebooks": 2}),
    "gumbel, residual": ("gumbel", {**SMALL, "codebooks": 2, "residual": True}),
    "gumbel, linear product": ("gumbel", {**SMALL, "codebooks": 2, "logits": "linear"}),
    "sim_vq": ("sim_vq", SMALL),
    "fsq": ("fsq", {"levels": (3, 4)}),
    "fsq, without maps": ("fsq", {"levels": (3, 2, 5, 4)}),
    "product": ("product", PARTS),
    "product, loss": ("product", {**PARTS, "quantizer_options": {**SMALL, "update": "loss"}}),
    "product of residuals": ("product", {"quantizer": "residual", "codebooks": 2, "quantizer_options": PARTS}),
    "residual": ("residual", PARTS),
    "residual of FSQ": ("residual", {"quantizer": "fsq", "codebooks": 2, "quantizer_options": {"levels": (3, 4)}}),
    "residual of SimVQ": ("residual", {"quantizer": "sim_vq", "codebooks": 2, "quantizer_options": SMALL}),
}
DIM = 4


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.fixture(params=FORMS)
def make(request: pytest.FixtureRequest) -> Callable[[], Quantizer]:
    """Builds one form of a quantizer of ``b ... 4``, in training mode."""
    name, options = FORMS[request.param]

    def build() -> Quantizer:
        torch.manual_seed(0)
        return QUANTIZERS[name](DIM, **options)

    return build


@pytest.fixture
def forms() -> dict[str, tuple[str, dict[str, Any]]]:
    """All of them."""
    return FORMS


@pytest.fixture
def z() -> torch.Tensor:
    """``b h w d``."""
    return torch.randn(5, 3, 2, DIM, generator=torch.Generator().manual_seed(1))
