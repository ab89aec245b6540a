"""Temperatures as they are given: numbers, or tensors aligned with the logits ``... k`` from the left."""

from __future__ import annotations

import math
from typing import TypeGuard

from torch import Tensor

from .checks import readable


def align_temperature(temperature: float | Tensor, logits: Tensor) -> float | Tensor:
    """Reshape a temperature to broadcast against logits ``... k``.

    Args:
        temperature: a number, or a tensor that is aligned with the logits from the left and never with the classes: a
            scalar, ``b`` or ``b n`` for logits ``b n k``. Axes of 1 are repeated. A tensor with all axes and a last
            axis of 1 is kept.
        logits: ``... k``.

    Raises:
        ValueError: temperature <= 0, infinite or NaN (tensors: where reading is cheap); a shape that does not fit.
    """
    if not isinstance(temperature, Tensor):
        if not 0 < temperature < math.inf:
            raise ValueError(_bad_temperature(temperature))
        return temperature
    if not temperature.ndim and not temperature.requires_grad and readable(temperature):
        return align_temperature(float(temperature), logits)
    if readable(temperature) and not bool(((temperature > 0) & (temperature < math.inf)).all()):
        raise ValueError(_bad_temperature(temperature.min().item()))
    shape = (*logits.shape[:-1], 1)
    if temperature.ndim > len(shape) or any(t not in (1, n) for t, n in zip(temperature.shape, shape, strict=False)):
        raise ValueError(
            f"temperature of shape {tuple(temperature.shape)} does not fit logits of shape {tuple(logits.shape)}; "
            "give a number or a leading part of the logits' axes without the last"
        )
    return temperature.reshape(*temperature.shape, *[1] * (len(shape) - temperature.ndim))


def learns(temperature: float | Tensor) -> TypeGuard[Tensor]:
    """Return True if a temperature gets a gradient."""
    return isinstance(temperature, Tensor) and temperature.requires_grad


def _bad_temperature(value: float) -> str:
    return f"temperature must be > 0, got {value}; use gumbel_max or categorical_sample for exact samples"
