"""Gates that open k random channels: a network trained with them can be evaluated with every set of k."""

from __future__ import annotations

import torch
from torch import Tensor

from ..relaxed import RelaxedSubset
from ..relaxed.surrogate import Cost
from .base import GATES, Gates, check_open


@GATES.register("random_k")
class RandomKGates(Gates):
    """k of n gates, all sets with equal probability, whatever the logits are; the first k at evaluation.

    Args:
        channels: number of gates n.
        k: open gates, at most n.

    Raises:
        ValueError: k outside [1, n].
    """

    uses_logits = False

    def __init__(self, channels: int, k: int = 4) -> None:
        super().__init__(channels)
        check_open(k, channels)
        self.layer = RelaxedSubset(k)

    def expectation(self, logits: Tensor, cost: Cost) -> Tensor:
        """Return the cost of one draw, ``b n -> b``."""
        return cost(self.layer.sample(torch.zeros_like(logits)) if self.training else self.mode(logits))

    def mode(self, logits: Tensor) -> Tensor:
        """Return 1 for the first k gates, ``... n``."""
        return (torch.arange(self.channels, device=logits.device) < self.layer.k).to(logits.dtype).expand_as(logits)

    def open_probability(self, logits: Tensor) -> Tensor:
        """Return k / n, ``... n``."""
        return torch.full_like(logits, self.layer.k / self.channels)
