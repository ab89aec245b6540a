"""Token sequences in either form, so that a network takes real text and a generator's relaxed text alike.

Codes are int64 ``b t``; points are float ``b t v``, one-hot or relaxed. What is written here for both agrees where a
point is one-hot. Axes: ``b`` batch, ``t`` time, ``v`` vocabulary, ``d`` width.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def embed(x: Tensor, table: Tensor) -> Tensor:
    """Rows of a ``table`` (``v d``) for codes ``...``, mixtures of its rows for points ``... v``: ``-> ... d``."""
    return x @ table if x.is_floating_point() else F.embedding(x, table)


def ends(x: Tensor, end: int) -> Tensor:
    """How much of each token is the ``end``: codes ``...`` or points ``... v`` ``-> ...``, in [0, 1]."""
    return x[..., end] if x.is_floating_point() else (x == end).float()


def presence(x: Tensor, end: int | None) -> Tensor:
    """How far each place still belongs to its sentence, codes ``b t`` or points ``b t v`` ``-> b t``.

    It is the product of 1 - x[end] over the places before: for codes and one-hot points 1 up to the first end, which
    counts, and 0 behind it. Without an end it is 1 everywhere.
    """
    if end is None:
        return torch.ones(x.shape[:2], device=x.device)
    going = (1 - ends(x, end)).cumprod(1)  # b t
    return torch.cat([torch.ones_like(going[:, :1]), going[:, :-1]], 1)
