"""The value that a choice picks: a row by its code, or a mixture of rows by a relaxed choice.

Hard attention, glimpses, slates and token embeddings are a choice among n vectors, and a network that goes on with the
one that was chosen. Axes: ``n`` values, ``d`` width of each.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .checks import check_indices
from .sampling import argmax


def select(z: Tensor, values: Tensor, *, one_hot: bool = False) -> Tensor:
    """Return the chosen values, sum_i z_i values_i, ``... n`` and ``... n d -> ... d``, in the dtype of ``values``.

    The leading axes broadcast, as in ``torch.matmul``. A table ``n d`` is shared by all rows of z. Under autocast a
    mixture is computed like any other matrix product.

    Args:
        z: points of the simplex ``... n``, or codes ``...`` (whole numbers in [0, n)), whose rows are gathered.
        values: ``... n d``.
        one_hot: the rows of a floating z are known to be one-hot, as ``layer.one_hot_samples`` says. Then the rows are
            gathered too, with all the gradients of the product, those of second order included. z is not checked: a
            relaxed one would give the row of its largest entry.

    Raises:
        ValueError: shapes that do not fit, codes that are boolean or outside of [0, n) (checked on the CPU).

    Example:
        >>> import torch
        >>> from gumbelzoo.models.relaxed import RelaxedCategorical, select
        >>> layer = RelaxedCategorical("straight_through_gumbel_softmax")
        >>> scores, states = torch.randn(32, 7, requires_grad=True), torch.randn(32, 7, 64)  # b n, b n d
        >>> context = select(layer(scores), states, one_hot=layer.one_hot_samples)  # b d, hard attention
    """
    relaxed = z.is_floating_point()
    if values.ndim < 2 or (relaxed and (not z.ndim or z.shape[-1] != values.shape[-2])):
        raise ValueError(
            f"select needs z of shape (..., n) or codes, and values of shape (..., n, d); got {tuple(z.shape)} and "
            f"{tuple(values.shape)}" + ("; one number each is values[:, None]" if values.ndim == 1 else "")
        )
    leading = z.shape[:-1] if relaxed else z.shape
    try:
        batch = torch.broadcast_shapes(leading, values.shape[:-2])
    except RuntimeError as error:
        raise ValueError(
            f"the leading axes {tuple(leading)} of z and {tuple(values.shape[:-2])} of values do not broadcast; "
            "insert axes of 1 with unsqueeze"
        ) from error
    if not relaxed:
        return _gather(check_indices(z, values.shape[-2]), values, batch)
    if one_hot:
        return _SelectOneHot.apply(z.expand(*batch, z.shape[-1]), values)
    if values.ndim == 2:
        return z.to(values.dtype) @ values
    return torch.einsum("...n,...nd->...d", z.to(values.dtype), values)


class _SelectOneHot(torch.autograd.Function):
    """The product of one-hot rows ``... n`` and values ``... n d``, at the price of a gather."""

    generate_vmap_rule = True

    @staticmethod
    def forward(z: Tensor, values: Tensor) -> Tensor:
        return _gather(argmax(z), values, z.shape[:-1])

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None]:
        z, values = ctx.saved_tensors
        z_grad = _project(grad, values).to(z.dtype) if ctx.needs_input_grad[0] else None
        return z_grad, _ScatterOneHot.apply(z, grad, values.shape) if ctx.needs_input_grad[1] else None


class _ScatterOneHot(torch.autograd.Function):
    """The gradient of ``_SelectOneHot`` for its values; the gradient of this one selects again."""

    generate_vmap_rule = True

    @staticmethod
    def forward(z: Tensor, grad: Tensor, shape: tuple[int, ...]) -> Tensor:
        index = _flat_index(argmax(z), shape, z.shape[:-1])
        flat = grad.new_zeros(math.prod(shape[:-1]), shape[-1])
        return flat.index_add(0, index.flatten(), grad.reshape(-1, shape[-1])).view(shape)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, tuple[int, ...]], output: Tensor) -> None:
        ctx.save_for_backward(*inputs[:2])

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        z, upstream = ctx.saved_tensors
        z_grad = _project(upstream, grad).to(z.dtype) if ctx.needs_input_grad[0] else None
        return z_grad, _SelectOneHot.apply(z, grad) if ctx.needs_input_grad[1] else None, None


def _project(grad: Tensor, values: Tensor) -> Tensor:
    """Inner products of ``... d`` with each of the values ``... n d``, ``-> ... n``."""
    return grad @ values.T if values.ndim == 2 else torch.einsum("...d,...nd->...n", grad, values)


def _gather(codes: Tensor, values: Tensor, batch: torch.Size) -> Tensor:
    """Rows of ``values`` for codes that broadcast to ``batch``, ``-> batch d``."""
    if values.ndim == 2:
        return F.embedding(codes, values)
    return F.embedding(_flat_index(codes, values.shape, batch), values.flatten(0, -2))


def _flat_index(codes: Tensor, shape: tuple[int, ...], batch: torch.Size) -> Tensor:
    """Index of each code, ``batch``, among all rows of values of a ``shape`` ``... n d``, which is not expanded."""
    *leading, n, _ = shape
    first = torch.arange(math.prod(leading), device=codes.device).view(leading) * n
    return (codes + first).expand(batch)
