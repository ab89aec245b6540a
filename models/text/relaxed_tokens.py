"""Token sequences in either form, so that a network reads real text and a generator's relaxed samples alike.

Token ids are int64 ``b t``. Relaxed tokens are float ``b t v``, a point on the simplex per position. The functions here
give the same result for both where every relaxed token is one-hot. Axes: ``b`` batch, ``t`` time, ``v`` vocabulary,
``d`` width.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from ..relaxed.sampling import argmax


def embed(x: Tensor, table: Tensor) -> Tensor:
    """Embed token ids ``...`` or relaxed tokens ``... v`` (mixtures of rows) by a ``table`` (``v d``), ``-> ... d``."""
    return x @ table if x.is_floating_point() else F.embedding(x, table)


class _EmbedOneHot(torch.autograd.Function):
    """The product of one-hot tokens and a table, at the price of a gather in the forward pass and a scatter back."""

    @staticmethod
    def forward(ctx: Any, relaxed_tokens: Tensor, table: Tensor) -> Tensor:
        ids = argmax(relaxed_tokens)  # ...
        ctx.save_for_backward(ids, table)
        return F.embedding(ids, table)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None]:
        ids, table = ctx.saved_tensors
        tokens_grad = grad @ table.T if ctx.needs_input_grad[0] else None
        table_grad = None
        if ctx.needs_input_grad[1]:
            table_grad = torch.zeros_like(table).index_add_(0, ids.flatten(), grad.flatten(0, -2))
        return tokens_grad, table_grad


def embed_one_hot(x: Tensor, table: Tensor) -> Tensor:
    """``embed`` for token ids, or for relaxed tokens that are known to be one-hot: same gradients in less time."""
    return _EmbedOneHot.apply(x, table) if x.is_floating_point() else embed(x, table)


def eos_mass(x: Tensor, eos_id: int) -> Tensor:
    """Probability of EOS in each token: ids ``...`` or relaxed tokens ``... v`` ``-> ...``, in [0, 1]."""
    return x[..., eos_id] if x.is_floating_point() else (x == eos_id).float()


def token_mask(x: Tensor, eos_id: int | None) -> Tensor:
    """Weight of each position in its sentence: ids ``b t`` or relaxed tokens ``b t v`` ``-> b t``.

    For ids and one-hot tokens it is 1 up to and including the first EOS, and 0 after it. For relaxed tokens it is
    1 - eos_mass of the previous position, and 0 after a position whose EOS mass is 1. In a roll-out with soft feedback
    the EOS mass never falls, so the weight never grows. Where one-hots of relaxed tokens are fed back, the next token
    does not inherit the EOS mass, and the weight can grow again. Without EOS it is 1 everywhere.
    """
    if eos_id is None:
        return torch.ones(x.shape[:2], device=x.device)
    alive = 1 - eos_mass(x, eos_id)  # b t
    ended = torch.cat([torch.zeros_like(alive[:, :1]), alive[:, :-1] == 0], 1).cummax(1).values
    alive = alive * (1 - ended)
    return torch.cat([torch.ones_like(alive[:, :1]), alive[:, :-1]], 1)
