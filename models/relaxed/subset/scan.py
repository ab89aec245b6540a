"""log of cumulative sums of exponentials, with derivatives of every order.

PyTorch's own has a second derivative that is NaN where a gradient is 0: it takes the logarithm of the gradient.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

LOG_ZERO = -1e300  # stands for log 0 in float64: finite, so that gradients are 0 and not NaN
_TINY = 1e-290  # a smaller gradient counts as 0, since 1 / gradient would overflow


def log_cumsum_exp(x: Tensor) -> Tensor:
    """Compute y_i = log sum_{m <= i} exp(x_m) along the last axis, float64 ``... n -> ... n``."""
    if torch.compiler.is_compiling():  # compiled functions have no second derivative, and the first is the same
        return x.logcumsumexp(-1)
    return _LogCumSumExp.apply(x)


class _LogCumSumExp(torch.autograd.Function):
    """Its gradient is sum_{i >= m} g_i exp(x_m - y_i): again such a sum, of the positive and of the negative g."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return x.logcumsumexp(-1)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs, output)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        x, y = ctx.saved_tensors
        return _gradient(grad, x, y) - _gradient(-grad, x, y)


def _gradient(grad: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Part of the gradient that comes from the positive entries of ``grad``, ``... n``."""
    positive = grad > _TINY
    terms = (torch.where(positive, grad, 1.0).log() - y).masked_fill(~positive, LOG_ZERO)
    return (x + log_cumsum_exp(terms.flip(-1)).flip(-1)).exp()
