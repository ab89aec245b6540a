"""What every gradient estimator of E_{z ~ q}[cost(z)] is, and the table of those that exist.

Axes: ``b`` batch, ``n`` latents, ``k`` categories, ``s`` samples. An estimator is one class in one file, filed under its
name with ``@ESTIMATORS.register("name")``, with three facts about itself that the tests check over the whole table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from ...registry import Registry
from .noise import gumbel_noise

Cost = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class NoiseSource:
    """Where an estimator's randomness comes from: Gumbel noise that the caller gave, or a generator."""

    noise: Tensor | None = None
    generator: torch.Generator | None = None

    def gumbel(self, logits: Tensor) -> Tensor:
        """Standard Gumbel noise for ``logits`` (any shape); ValueError if the given noise has another shape."""
        if self.noise is None:
            return gumbel_noise(logits, generator=self.generator)
        if self.noise.shape != logits.shape:
            raise ValueError(f"noise must have shape {tuple(logits.shape)}, got {tuple(self.noise.shape)}")
        return self.noise


class Estimator(nn.Module):
    """A gradient estimator. Subclasses state the facts and write ``sample`` (pathwise ones) or ``expectation``.

    Args:
        samples: draws of z per example; with more than one, z has a leading axis ``s`` and the cost keeps it.
    """

    unbiased: ClassVar[bool]  # is the gradient's expectation the exact gradient?
    pathwise: ClassVar[bool]  # does it work on plain `layer(logits)`?
    minimum_samples: ClassVar[int] = 1  # fewer draws than this give no estimate

    def __init__(self, samples: int = 1) -> None:
        super().__init__()
        if samples < self.minimum_samples:
            raise ValueError(f"this estimator needs samples >= {self.minimum_samples}, got {samples}")
        self.samples = samples

    def sample(self, logits: Tensor, temperature: Tensor | float, source: NoiseSource) -> Tensor:
        """A point of the simplex for each row of logits ``... k``, with a gradient; pathwise estimators only."""
        raise NotImplementedError

    def expectation(self, logits: Tensor, cost: Cost, temperature: Tensor | float, source: NoiseSource) -> Tensor:
        """Estimate E[cost(z)] per example; here for pathwise estimators, where the gradient flows through z."""
        if self.samples == 1:
            return evaluate(cost, self.sample(logits, temperature, source))
        if isinstance(temperature, Tensor) and temperature.ndim:
            temperature = temperature[None]  # it lines up with the logits from the left
        return evaluate(cost, self.sample(repeat_samples(logits, self.samples), temperature, source)).mean(0)


ESTIMATORS: Registry[type[Estimator]] = Registry("estimator")


def repeat_samples(logits: Tensor, samples: int) -> Tensor:
    """``b ... k -> s b ... k`` for several samples; unchanged for one."""
    return logits.expand(samples, *logits.shape) if samples > 1 else logits


def evaluate(cost: Cost, z: Tensor) -> Tensor:
    """``cost(z)``, checked to be one value per example: its shape is the leading part of z's shape.

    Raises:
        ValueError: the cost returned another shape.
    """
    value = cost(z)
    if value.ndim >= z.ndim or value.shape != z.shape[: value.ndim]:
        raise ValueError(
            f"cost must return one value per example, a leading part of {tuple(z.shape[:-1])} for z of shape "
            f"{tuple(z.shape)}, got {tuple(value.shape)}"
        )
    return value


def sum_event(per_row: Tensor, like: Tensor) -> Tensor:
    """Sum a value per row of logits over the axes that ``like`` (a value per example) no longer has."""
    return per_row.flatten(like.ndim).sum(-1) if per_row.ndim > like.ndim else per_row
