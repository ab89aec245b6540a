"""Hard concrete gates of L0 regularisation: Louizos, Welling & Kingma 2018 (arXiv:1712.01312)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor

from ...registry import Spec
from ..relaxed import SCHEDULES, hard_concrete
from ..relaxed.annealed import Annealed
from ..relaxed.noise import draw_noise
from ..relaxed.surrogate import Cost, evaluate_pathwise
from .base import GATES, Gates


@GATES.register("hard_concrete")
class HardConcreteGates(Gates):
    """Gates between 0 and 1 that are exactly 0 or 1 often; the gradient flows through those inside.

    Their P(open) is that of the stretched variable, not that of a Bernoulli variable with the same logits.

    Args:
        channels: number of gates n.
        temperature: a number > 0, or the name or spec of a schedule.

    Raises:
        ValueError: an unknown schedule, a temperature <= 0.
    """

    parts: ClassVar[Mapping[str, Any]] = {"temperature": SCHEDULES}

    def __init__(self, channels: int, temperature: float | Spec = hard_concrete.TEMPERATURE) -> None:
        super().__init__(channels)
        self.annealed = Annealed(temperature)

    def expectation(self, logits: Tensor, cost: Cost) -> Tensor:
        """Return the cost of one draw, ``b n -> b``; see the base class."""
        if not self.training:
            return cost(self.mode(logits))
        return evaluate_pathwise(cost, hard_concrete.sample(logits, self.annealed.training_temperature(), draw_noise))

    def mode(self, logits: Tensor) -> Tensor:
        """Return the gates without noise, in [0, 1], ``... n``; they do not depend on the temperature."""
        return hard_concrete.deterministic(logits.detach())

    def open_probability(self, logits: Tensor) -> Tensor:
        """Compute P(z > 0), ``... n``."""
        return hard_concrete.open_probability(logits, self.annealed.current_temperature())
