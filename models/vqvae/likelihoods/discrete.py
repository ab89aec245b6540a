"""Discrete pixels that are independent given the decoder's outputs: binary ones, and a softmax over 256 levels.

Axes: ``l`` levels, others as in ``base.py``.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange, reduce
from torch import Tensor

from ...relaxed.surrogate import upcast
from .base import LEVELS, LIKELIHOODS, Likelihood


@LIKELIHOODS.register("bernoulli")
class Bernoulli(Likelihood):
    """Binary pixels; the outputs are logits."""

    levels = 2

    def mean(self, outputs: Tensor) -> Tensor:
        """Compute the probabilities of 1, ``b c h w``."""
        return torch.sigmoid(outputs)

    def nll(self, outputs: Tensor, x: Tensor) -> Tensor:
        """Compute -log p(x) in nats, ``-> b``; ValueError for pixels other than 0 and 1."""
        self.check_levels(x)
        logits = upcast(outputs)
        nll = F.binary_cross_entropy_with_logits(logits, x.to(logits.dtype), reduction="none")
        return reduce(nll, "b c h w -> b", "sum")


@LIKELIHOODS.register("categorical")
class Categorical(Likelihood):
    """A softmax over the 256 levels of each pixel and channel (van den Oord et al. 2016, arXiv:1601.06759)."""

    levels = LEVELS

    @property
    def outputs(self) -> int:
        """256 logits per channel."""
        return LEVELS * self.channels

    def _logits(self, outputs: Tensor) -> Tensor:
        return rearrange(outputs, "b (l c) h w -> b l c h w", l=LEVELS).float()

    def mean(self, outputs: Tensor) -> Tensor:
        """Compute the expected levels, ``b c h w``."""
        level = torch.linspace(0, 1, LEVELS, dtype=torch.float32, device=outputs.device)
        return torch.einsum("b l c h w, l -> b c h w", self._logits(outputs).softmax(1), level)

    def nll(self, outputs: Tensor, x: Tensor) -> Tensor:
        """Compute -log p(x) in nats, ``-> b``; ValueError for pixels between the 256 levels."""
        self.check_levels(x)
        target = (x * (LEVELS - 1)).round().long()
        return reduce(F.cross_entropy(self._logits(outputs), target, reduction="none"), "b c h w -> b", "sum")
