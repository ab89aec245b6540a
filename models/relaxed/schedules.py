"""Temperature schedules: pure functions of the step, never of the previous temperature.

Each takes the step (a scalar tensor that counts optimizer steps) and plain numbers, and returns a float32 scalar
tensor on the step's device, so that reading a temperature never waits for an accelerator and never recompiles a graph.
A configuration gives a schedule as ``{name: exponential, initial: 1.0, minimum: 0.5, rate: 1.0e-4}``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any
from warnings import warn

import torch
from torch import Tensor

from ...registry import Registry, Spec

Schedule = Callable[..., Tensor]
FORGOTTEN = 1000  # training calls without ``advance()`` after which a layer says so
SCHEDULES: Registry[Schedule] = Registry("temperature schedule", context=("step",))


@SCHEDULES.register("constant")
def constant(step: Tensor, *, initial: float = 1.0) -> Tensor:
    """Constant temperature.

    Args:
        step: optimizer steps, a scalar.
        initial: the temperature.
    """
    return torch.full((), initial, dtype=torch.float32, device=step.device)


@SCHEDULES.register("learned")
def learned(step: Tensor, *, initial: float = 1.0) -> Tensor:
    """Learned temperature: the layer trains its logarithm.

    Args:
        step: optimizer steps, a scalar.
        initial: temperature before training.
    """
    return constant(step, initial=initial)


@SCHEDULES.register("exponential")
def exponential(
    step: Tensor, *, initial: float = 1.0, minimum: float = 0.5, rate: float = 1e-4, every: int = 1
) -> Tensor:
    """Exponential decay ``max(minimum, initial exp(-rate t))``, t rounded down to a multiple of ``every``.

    Jang et al. 2017 (arXiv:1611.01144), section 4.

    Args:
        step: optimizer steps, a scalar.
        initial: temperature at step 0.
        minimum: lowest temperature.
        rate: decay per step.
        every: steps between two changes.
    """
    _check_minimum(initial, minimum)
    updated = (step // every * every).float()
    return (initial * torch.exp(-rate * updated)).clamp(min=minimum)


@SCHEDULES.register("linear")
def linear(step: Tensor, *, initial: float = 1.0, final: float = 0.5, steps: int = 10_000) -> Tensor:
    """Straight line from ``initial`` to ``final`` over ``steps`` steps, constant afterwards.

    Args:
        step: optimizer steps, a scalar.
        initial: temperature at step 0.
        final: temperature from ``steps`` on.
        steps: length of the line.
    """
    progress = (step.float() / steps).clamp(max=1.0)
    return initial + (final - initial) * progress


@SCHEDULES.register("cosine")
def cosine(step: Tensor, *, initial: float = 1.0, final: float = 1 / 16, steps: int = 150_000) -> Tensor:
    """Half a cosine from ``initial`` to ``final`` over ``steps`` steps, constant afterwards.

    DALL-E, Ramesh et al. 2021 (arXiv:2102.12092), appendix A.2.

    Args:
        step: optimizer steps, a scalar.
        initial: temperature at step 0.
        final: temperature from ``steps`` on.
        steps: length of the curve.
    """
    progress = (step.float() / steps).clamp(max=1.0)
    return final + (initial - final) * 0.5 * (1 + torch.cos(math.pi * progress))


@SCHEDULES.register("multiplicative")
def multiplicative(step: Tensor, *, initial: float = 2.0, minimum: float = 0.5, decay: float = 0.999995) -> Tensor:
    """Decay by a factor per step, ``max(minimum, initial decay^t)``.

    wav2vec 2.0, Baevski et al. 2020 (arXiv:2006.11477), section 4.2.

    Args:
        step: optimizer steps, a scalar.
        initial: temperature at step 0.
        minimum: lowest temperature.
        decay: factor of each step, below 1.
    """
    _check_minimum(initial, minimum)
    if decay >= 1:
        raise ValueError(f"temperature schedule 'multiplicative' needs decay < 1, got {decay}; give a factor below 1")
    return (initial * torch.exp(math.log(decay) * step.float())).clamp(min=minimum)


@SCHEDULES.register("piecewise")
def piecewise(step: Tensor, *, values: Sequence[float] = (1.0, 0.5), boundaries: Sequence[int] = (10_000,)) -> Tensor:
    """Step function: ``values[i]`` from step ``boundaries[i - 1]`` on.

    Args:
        step: optimizer steps, a scalar.
        values: the temperatures, one more than boundaries.
        boundaries: first step of each value but the first, increasing.
    """
    _check_pieces(values, boundaries)
    table = torch.tensor(values, dtype=torch.float32, device=step.device)
    return table[torch.bucketize(step, torch.tensor(boundaries, device=step.device), right=True)]


def read_temperature(temperature: float | Spec) -> tuple[str, dict[str, Any]]:
    """Split a temperature into the name of its schedule and the schedule's arguments; a number is constant.

    Raises:
        ValueError: unknown name or argument (the nearest known one is named), an argument that is not > 0, a list for
            one number or the other way round, or a minimum above the initial temperature.
    """
    spec = temperature if isinstance(temperature, (str, dict)) else {"name": "constant", "initial": temperature}
    if isinstance(spec, dict) and "name" not in spec:
        raise ValueError("a temperature schedule needs a name, such as {name: exponential, initial: 1.0}")
    name, arguments = SCHEDULES.read(spec)
    for key, value in arguments.items():
        for number in value if isinstance(value, Sequence) and not isinstance(value, str) else [value]:
            if isinstance(number, bool) or not isinstance(number, int | float):
                raise ValueError(f"temperature schedule '{name}' needs plain numbers for {key}, got {number!r}")
            if not 0 < number < math.inf:
                raise ValueError(f"temperature schedule '{name}' needs {key} > 0, got {number!r}")
    try:
        SCHEDULES[name](torch.tensor(0), **arguments)  # a schedule checks how its arguments go together
    except TypeError as error:
        raise ValueError(
            f"temperature schedule '{name}' got a list for one number, or one number for a list: {arguments}"
        ) from error
    return name, arguments


def _check_minimum(initial: float, minimum: float) -> None:
    if minimum > initial:
        raise ValueError(
            f"a temperature schedule needs minimum <= initial, got minimum {minimum} and initial {initial}; set both"
        )


def _check_pieces(values: Sequence[float], boundaries: Sequence[int]) -> None:
    if len(values) != len(boundaries) + 1 or list(boundaries) != sorted(set(boundaries)):
        raise ValueError(
            f"temperature schedule 'piecewise' needs increasing boundaries and one value more than boundaries, "
            f"got {len(values)} values and boundaries {list(boundaries)}"
        )


def warn_forgotten(name: str) -> None:
    """Warn that the schedule ``name`` of a layer stands still."""
    warn(
        f"{FORGOTTEN} training calls of a relaxed layer without advance(), so its temperature schedule '{name}' "
        "stands still; call layer.advance() once per optimizer step",
        stacklevel=5,
    )
