"""Hard concrete gates: a binary Concrete variable, stretched beyond [0, 1] and clipped, so that 0 and 1 are frequent.

Louizos, Welling & Kingma 2018 (arXiv:1712.01312), section 2.2:

    s = sigmoid((logits + logistic noise) / temperature),    z = clip(s (ZETA - GAMMA) + GAMMA, 0, 1).

Functions of logits of any shape ``...``, in float32 at least.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .noise import NoiseFn
from .surrogate import upcast

GAMMA, ZETA = -0.1, 1.1  # the interval that s is stretched to, as in the paper
TEMPERATURE = 2 / 3  # of the paper


def sample(logits: Tensor, temperature: Tensor | float, noise_fn: NoiseFn) -> Tensor:
    """Draw gates in [0, 1], ``... -> ...``, with a gradient where they are inside.

    Args:
        logits: log-odds of the Concrete variable.
        temperature: a number > 0, or a tensor that broadcasts.
        noise_fn: returns standard Gumbel noise; the difference of two is logistic.
    """
    scores = upcast(logits)
    on, off = noise_fn(torch.stack([scores, scores], -1)).unbind(-1)
    return _stretch(((scores + on - off) / temperature).sigmoid()).to(logits.dtype)


def open_probability(logits: Tensor, temperature: Tensor | float) -> Tensor:
    """Compute P(z > 0), eq. 12: sigmoid(logits - temperature log(-GAMMA / ZETA)); with a gradient."""
    return (upcast(logits) - temperature * math.log(-GAMMA / ZETA)).sigmoid()


def deterministic(logits: Tensor) -> Tensor:
    """Compute the gates for evaluation, eq. 13: without noise, and by design at temperature 1."""
    return _stretch(upcast(logits).sigmoid()).to(logits.dtype)


def _stretch(s: Tensor) -> Tensor:
    return (s * (ZETA - GAMMA) + GAMMA).clamp(0.0, 1.0)
