"""Every quantizer in its forms, small enough for brute force."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from gumbelzoo.models.quantizers import QUANTIZERS, Quantizer
from gumbelzoo.registry import Spec

SMALL: dict[str, Any] = {"codebook_size": 6}
VECTOR: dict[str, Any] = {"name": "vector", **SMALL}
GUMBEL: dict[str, Any] = {"name": "gumbel", **SMALL}
FORMS: dict[str, Spec] = {
    "vector": VECTOR,
    "vector, loss": {**VECTOR, "update": "loss"},
    "vector, cosine": {**VECTOR, "cosine": True},
    "vector, cosine and loss": {**VECTOR, "cosine": True, "update": "loss"},
    "vector, rotation": {**VECTOR, "gradient": "rotation"},
    "gumbel": GUMBEL,
    "gumbel, straight-through": {**GUMBEL, "estimator": "straight_through_gumbel_softmax"},
    "gumbel, linear": {**GUMBEL, "logits": "linear"},
    "gumbel, product": {**GUMBEL, "codebooks": 2},
    "gumbel, residual": {**GUMBEL, "codebooks": 2, "residual": True},
    "gumbel, linear product": {**GUMBEL, "codebooks": 2, "logits": "linear"},
    "sim_vq": {"name": "sim_vq", **SMALL},
    "fsq": {"name": "fsq", "levels": (3, 4)},
    "fsq, without maps": {"name": "fsq", "levels": (3, 2, 5, 4)},
    "product": {"name": "product", "quantizer": VECTOR, "codebooks": 2},
    "product, loss": {"name": "product", "quantizer": {**VECTOR, "update": "loss"}, "codebooks": 2},
    "product of FSQ": {"name": "product", "quantizer": {"name": "fsq", "levels": (3, 4)}, "codebooks": 2},
    "product of residuals": {
        "name": "product",
        "quantizer": {"name": "residual", "quantizer": VECTOR, "codebooks": 2},
        "codebooks": 2,
    },
    "residual": {"name": "residual", "quantizer": VECTOR, "codebooks": 2},
    "residual of FSQ": {"name": "residual", "quantizer": {"name": "fsq", "levels": (3, 4)}, "codebooks": 2},
    "residual of SimVQ": {"name": "residual", "quantizer": {"name": "sim_vq", **SMALL}, "codebooks": 2},
}
DIM = 4


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.fixture(params=FORMS)
def make(request: pytest.FixtureRequest) -> Callable[[], Quantizer]:
    """Builds one form of a quantizer of ``b ... 4``, in training mode."""

    def build() -> Quantizer:
        torch.manual_seed(0)
        return QUANTIZERS.build(FORMS[request.param], dim=DIM, positions=6)

    return build


@pytest.fixture
def forms() -> dict[str, Spec]:
    """Specs of all forms."""
    return FORMS


@pytest.fixture
def z() -> torch.Tensor:
    """Encoder output, ``b h w d``."""
    return torch.randn(5, 3, 2, DIM, generator=torch.Generator().manual_seed(1))
