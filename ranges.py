"""Ranges of the numbers that constructors take. An error is one line that names the argument."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

LEAST_TEMPERATURE = 1e-30


def check_sizes(least: int = 1, /, **sizes: Any) -> None:
    """Check that numbers, and all numbers of sequences, are whole and at least ``least``.

    Raises:
        ValueError: the first argument that is not.
    """
    for name, size in sizes.items():
        several = isinstance(size, Sequence) and not isinstance(size, str)
        if not all(is_whole(number) and number >= least for number in (size if several else [size])):
            kind = "whole numbers" if several else "a whole number"
            raise ValueError(f"{name} must be {kind} >= {least}, got {list(size) if several else size!r}")


def check_most(most: int, /, **sizes: Any) -> None:
    """Check that numbers, and all numbers of sequences, are at most ``most``; ValueError for the first."""
    for name, size in sizes.items():
        if max(size if isinstance(size, Sequence) else [size], default=most) > most:
            raise ValueError(f"{name} must be at most {most}, got {size}")


def is_whole(number: Any) -> bool:
    """True for a whole number, of Python or NumPy, that is no boolean."""
    return isinstance(number, Integral) and not isinstance(number, bool)


def check_numbers(**numbers: Any) -> None:
    """Check that values are numbers; ValueError that names the first that is not."""
    for name, number in numbers.items():
        if not isinstance(number, Real):  # YAML 1.1 reads 1e-3, without a point, as a text
            raise ValueError(f"{name} must be a number, such as 0.5 or 1.0e-3, got {number!r}")


def check_weights(**weights: float | int) -> None:
    """Check that numbers are finite and not negative; ValueError that names the first that is not."""
    check_numbers(**weights)
    for name, weight in weights.items():
        if not 0 <= weight < math.inf:
            raise ValueError(f"{name} must be finite and >= 0, got {weight}")


def check_positive(**numbers: float | int) -> None:
    """Check that numbers are finite and above 0; ValueError that names the first that is not."""
    check_numbers(**numbers)
    for name, number in numbers.items():
        if not 0 < number < math.inf:
            raise ValueError(f"{name} must be > 0 and finite, got {number}")


def check_temperature(temperature: float) -> None:
    """Check that a temperature is finite, and not so small that logits over it leave the range of float32."""
    if not LEAST_TEMPERATURE <= temperature < math.inf:
        raise ValueError(f"temperature must be > 0 and finite, and not below {LEAST_TEMPERATURE:g}, got {temperature}")


def check_dropout(**probabilities: float) -> None:
    """Check that dropout probabilities are in [0, 1); ValueError that names the first that is not."""
    check_numbers(**probabilities)
    for name, probability in probabilities.items():
        if not 0 <= probability < 1:
            raise ValueError(f"{name} must be in [0, 1), got {probability}")
