"""Gates that never move: the controls of learned ones."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ...ranges import is_whole
from ..relaxed.surrogate import Cost
from .base import GATES, Gates


@GATES.register("fixed")
class FixedGates(Gates):
    """Some channels open, the others closed, whatever the logits are.

    Args:
        channels: number of gates n.
        open: numbers of the open channels, from 0; None opens all.

    Raises:
        ValueError: no channel, one that is named twice or outside [0, n).
    """

    uses_logits = False
    gates: Tensor

    def __init__(self, channels: int, open: Sequence[int] | None = None) -> None:
        super().__init__(channels)
        numbers = list(range(channels) if open is None else open)
        whole = all(is_whole(number) and 0 <= number < channels for number in numbers)
        if not numbers or not whole or len(set(numbers)) != len(numbers):
            raise ValueError(f"open must be different channels from 0 to {channels - 1}, got {numbers}")
        self.register_buffer("gates", torch.zeros(channels).index_fill(0, torch.tensor(numbers), 1.0), persistent=False)

    def expectation(self, logits: Tensor, cost: Cost) -> Tensor:
        """Return the cost of the gates, ``b n -> b``."""
        return cost(self.mode(logits))

    def mode(self, logits: Tensor) -> Tensor:
        """Return the gates, ``... n``."""
        return self.gates.to(logits.dtype).expand_as(logits)

    def open_probability(self, logits: Tensor) -> Tensor:
        """Return the gates, ``... n``."""
        return self.mode(logits)
