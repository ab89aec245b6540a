"""Distances of drawn estimates from an exact value."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor


@pytest.fixture
def z_scores() -> Callable[[Tensor, object], Tensor]:
    """Distance of the mean of draws ``d ...`` from its target in standard errors, per coordinate."""

    def scores(draws: Tensor, target: object) -> Tensor:
        draws, expected = draws.double(), torch.as_tensor(target, dtype=torch.float64)
        error = draws.std(0) / len(draws) ** 0.5
        return (draws.mean(0) - expected) / error.clamp(min=1e-6 * expected.abs().max())

    return scores
