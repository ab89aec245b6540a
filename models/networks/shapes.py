"""Shapes of what networks compute, and one line for a network whose output does not fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn


def output_shape(label: str, build: Callable[[], nn.Module], shape: Sequence[int]) -> tuple[int, ...]:
    """Return the shape of a network's output for one input of a shape, both without the batch axis.

    The network is built for this and dropped. Random states stay as they are.

    Args:
        label: name of the network in messages, such as "encoder 'mlp'".
        build: makes the network.
        shape: of the input.

    Raises:
        ValueError: it fails on such an input, or does not compute one tensor; errors of ``build``.
    """
    try:
        # Tensors on this device have shapes, but take no memory and no random numbers.
        output = _run(build, shape, "meta")
    except (RuntimeError, TypeError):  # it reads values, in its constructor or after
        try:
            output = _run(build, shape, "cpu")
        except RuntimeError as error:
            raise ValueError(f"the {label} fails on an input of shape {tuple(shape)}: {_first_line(error)}") from error
    if not isinstance(output, Tensor) or output.ndim < 2 or len(output) != 1:
        found = f"shape {tuple(output.shape)}" if isinstance(output, Tensor) else f"a {type(output).__name__}"
        raise ValueError(f"the {label} must map a batch to one tensor, batch axis first; a batch of 1 gives {found}")
    return tuple(output.shape[1:])


def _run(build: Callable[[], nn.Module], shape: Sequence[int], device: str) -> Any:
    with torch.random.fork_rng(devices=[]), torch.device(device), torch.no_grad():
        return build().eval()(torch.zeros(1, *shape))


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
