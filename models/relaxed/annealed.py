"""A temperature that belongs to a layer: a number, a schedule of the layer's own steps, or learned."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from ...registry import Spec
from .schedules import FORGOTTEN, SCHEDULES, read_temperature, warn_forgotten
from .temperature import align_temperature


class Annealed(nn.Module):
    """Base class of layers with a temperature, a function of ``step``, which ``advance()`` counts.

    Args:
        temperature: a number > 0, the name of a schedule, or ``{"name": "exponential", "initial": 1.0, ...}``;
            ``{"name": "learned", "initial": 1.0}`` trains it.

    Raises:
        ValueError: an unknown schedule or argument, a temperature <= 0.
    """

    step: Tensor

    def __init__(self, temperature: float | Spec) -> None:
        super().__init__()
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))
        name, arguments = read_temperature(temperature)
        self.temperature_spec = {"name": name, **arguments}
        self.schedule = partial(SCHEDULES[name], **arguments)
        self.log_temperature = nn.Parameter(self.schedule(self.step).log()) if name == "learned" else None
        self.calls: int | None = None if name in ("constant", "learned") else 0  # without ``advance()``; None: fine

    def advance(self) -> None:
        """Count one optimizer step."""
        self.step += 1
        self.calls = None

    def current_temperature(self) -> Tensor:
        """Return the temperature at the current step, a float32 scalar; with a gradient if it is learned."""
        if self.log_temperature is not None:
            return self.log_temperature.exp()
        return self.schedule(self.step)

    def training_temperature(self) -> Tensor:
        """Return ``current_temperature()`` for a training call; warn once of a schedule that stands still."""
        if self.calls is not None and not torch.compiler.is_compiling():
            self.calls += 1
            if self.calls == FORGOTTEN:
                self.calls = None
                warn_forgotten(self.temperature_spec["name"])
        return self.current_temperature()

    def _temperature(self, temperature: float | Tensor | None, logits: Tensor) -> Tensor | float:
        return self.training_temperature() if temperature is None else align_temperature(temperature, logits)
