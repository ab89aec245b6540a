"""A part of a model that becomes one ONNX file, and a description of its inputs and outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim

Bound = int | float | None
BATCH, PAST = "batch", "past"  # axes of any length: examples, and positions of a text so far


@dataclass(frozen=True)
class Value:
    """An input or output of a graph.

    Attributes:
        name: in the ONNX file.
        shape: lengths of the axes, or their names where any length is taken.
        dtype: of the tensor.
        low, high: range of the values, both included; None if it has no bound.
        meaning: one line for the user.
    """

    name: str
    shape: tuple[int | str, ...]
    dtype: torch.dtype = torch.float32
    low: Bound = None
    high: Bound = None
    meaning: str = ""

    def example(self, sizes: Mapping[str, int], generator: torch.Generator) -> Tensor:
        """Draw values of the range for given lengths of the named axes; normal ones if it has no bounds."""
        shape = [sizes[axis] if isinstance(axis, str) else axis for axis in self.shape]
        if self.dtype == torch.bool:
            return torch.rand(shape, generator=generator) < 0.5
        if not self.dtype.is_floating_point:
            return torch.randint(int(self.low or 0), int(self.high or 0) + 1, shape, generator=generator)
        if self.low is None or self.high is None:
            return torch.randn(shape, generator=generator)
        return self.low + (self.high - self.low) * torch.rand(shape, generator=generator)

    def describe(self) -> dict[str, Any]:
        """Return plain values for a JSON file."""
        bounds = None if self.low is None and self.high is None else [self.low, self.high]
        dtype = str(self.dtype).removeprefix("torch.")
        described = {"name": self.name, "dtype": dtype, "shape": list(self.shape), "range": bounds}
        return {**described, "meaning": self.meaning}


class Graph(nn.Module):
    """Base class of the graphs; a subclass writes ``forward``, one tensor or a tuple, from a model in eval mode.

    Args:
        file: name of the ONNX file.
        inputs: arguments of ``forward``.
        outputs: what it returns.
        longest_past: largest length of the axis ``past``, for graphs that have it.
    """

    def __init__(
        self, file: str, inputs: Sequence[Value], outputs: Sequence[Value] = (), longest_past: int = 0
    ) -> None:
        super().__init__()
        self.file, self.inputs, self.outputs, self.longest_past = file, list(inputs), list(outputs), longest_past

    def results(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Return the outputs for given inputs, computed by torch."""
        with torch.no_grad():
            made = self(*inputs)
        return made if isinstance(made, tuple) else (made,)

    def draw(self, batch: int, past: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        """Draw inputs to convert and to check the graph with."""
        return tuple(value.example({BATCH: batch, PAST: past}, generator) for value in self.inputs)

    def is_tie(self, inputs: Sequence[Tensor], codes: Tensor, others: Tensor) -> bool:
        """True if whole numbers ``others`` are as good an output as ``codes``, so that rounding decides."""
        return False

    def axes(self) -> tuple[dict[int, Dim], ...]:
        """Return the axes of each input that are of any length, as ``torch.export`` takes them."""
        lengths = {BATCH: Dim(BATCH), PAST: Dim(PAST, max=max(self.longest_past, 1))}
        return tuple(
            {i: lengths[axis] for i, axis in enumerate(value.shape) if isinstance(axis, str)} for value in self.inputs
        )

    def describe(self) -> dict[str, Any]:
        """Return the inputs and outputs as plain values."""
        return {name: [value.describe() for value in getattr(self, name)] for name in ("inputs", "outputs")}
