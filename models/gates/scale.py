"""Channel scales under an L1 penalty, the control without a choice: Liu et al. 2017 (arXiv:1708.06519)."""

from __future__ import annotations

import torch
from torch import Tensor

from ..relaxed.surrogate import Cost
from .base import GATES, Gates, check_open


@GATES.register("scale")
class ScaleGates(Gates):
    """Gates that are the logits themselves, real numbers: all channels are open in training, and k at evaluation.

    ``open_probability`` is their absolute value, so that the cost ``penalty`` is L1.

    Args:
        channels: number of gates n.
        k: channels of the largest absolute scale that evaluation keeps; None keeps all.

    Raises:
        ValueError: k outside [1, n].
    """

    def __init__(self, channels: int, k: int | None = None) -> None:
        super().__init__(channels)
        self.k = channels if k is None else k
        check_open(self.k, channels)

    def expectation(self, logits: Tensor, cost: Cost) -> Tensor:
        """Return the cost of the scales, ``b n -> b``."""
        return cost(logits if self.training else self.mode(logits))

    def mode(self, logits: Tensor) -> Tensor:
        """Return the k scales of the largest absolute value, ``... n``, and 0 for the others."""
        logits = logits.detach()
        kept = logits.abs().topk(self.k).indices
        return torch.zeros_like(logits).scatter(-1, kept, logits.gather(-1, kept))

    def open_probability(self, logits: Tensor) -> Tensor:
        """Return absolute scales, ``... n``; no probabilities."""
        return logits.abs()
