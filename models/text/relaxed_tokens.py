"""Token sequences in either form, so that a network takes real text and a generator's relaxed text alike.

Codes are int64 ``b t``; points are float ``b t v``, one-hot or relaxed. What is written here for both agrees where a
point is one-hot. Axes: ``b`` batch, ``t`` time, ``v`` vocabulary, ``d`` width.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from ..relaxed.sampling import argmax


def embed(x: Tensor, table: Tensor) -> Tensor:
    """Rows of a ``table`` (``v d``) for codes ``...``, mixtures of its rows for points ``... v``: ``-> ... d``."""
    return x @ table if x.is_floating_point() else F.embedding(x, table)


class _EmbedOneHot(torch.autograd.Function):
    """Rows of a table for one-hot points: what the product gives, at the price of a look-up both ways."""

    @staticmethod
    def forward(ctx: Any, points: Tensor, table: Tensor) -> Tensor:
        codes = argmax(points)  # ...
        ctx.save_for_backward(codes, table)
        return F.embedding(codes, table)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, Tensor | None]:
        codes, table = ctx.saved_tensors
        of_points = slope @ table.T if ctx.needs_input_grad[0] else None
        of_table = None
        if ctx.needs_input_grad[1]:
            of_table = torch.zeros_like(table).index_add_(0, codes.flatten(), slope.flatten(0, -2))
        return of_points, of_table


def embed_one_hot(points: Tensor, table: Tensor) -> Tensor:
    """``embed`` for points ``... v`` that are known to be one-hot, or codes: the same gradients in less time."""
    return _EmbedOneHot.apply(points, table) if points.is_floating_point() else embed(points, table)


def ends(x: Tensor, end: int) -> Tensor:
    """How much of each token is the ``end``: codes ``...`` or points ``... v`` ``-> ...``, in [0, 1]."""
    return x[..., end] if x.is_floating_point() else (x == end).float()


def presence(x: Tensor, end: int | None) -> Tensor:
    """How far each place still belongs to its sentence, codes ``b t`` or points ``b t v`` ``-> b t``.

    For codes and one-hot points it is 1 up to the first end, which counts, and 0 behind it. For relaxed points it is
    1 - x[end] of the place before, and 0 behind a whole end. In a roll-out with soft feedback every later point has the
    share that ended, so it never grows; where one-hots of relaxed points are fed back, a sentence that has ended in
    part goes on whole. Without an end it is 1 everywhere.
    """
    if end is None:
        return torch.ones(x.shape[:2], device=x.device)
    going = 1 - ends(x, end)  # b t
    ended = torch.cat([torch.zeros_like(going[:, :1]), going[:, :-1] == 0], 1).cummax(1).values
    going = going * (1 - ended)
    return torch.cat([torch.ones_like(going[:, :1]), going[:, :-1]], 1)
