"""Surrogates: a value per example whose backward pass gives the gradient of an estimator.

Axes: ``b`` batch, ``n`` latents, ``k`` categories, ``s`` samples, ``m`` copies of a bound.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from .checks import check_logits, eager
from .shapes import Float

Cost = Callable[[Tensor], Tensor]  # z ``... n k`` to one value per example, ``...``
NO_GRADIENT = "this estimator needs a cost with a gradient for z; use 'reinforce' for a black box"


def repeat_samples(logits: Tensor, samples: int) -> Tensor:
    """Add a leading axis for several samples, ``b ... k -> s b ... k``; unchanged for one."""
    return logits.expand(samples, *logits.shape) if samples > 1 else logits


def repeat_copies(logits: Tensor, m: int) -> Tensor:
    """Repeat every latent m times, ``b n k -> b n m k``."""
    return logits.unsqueeze(-2).expand(*logits.shape[:-1], m, logits.shape[-1])


def bound_cost(log_weight: Cost) -> Cost:
    """Return the cost -log 1/m sum_i exp(log_weight(z_i)) of ``... b n m k``; ``log_weight`` takes ``m ... b n k``."""

    def cost(z: Tensor) -> Tensor:
        log_weights = evaluate(log_weight, z.movedim(-2, 0))  # m ... b
        return math.log(len(log_weights)) - log_weights.logsumexp(0)

    return cost


def cost_per_example(cost: Cost, axes: int) -> Cost:
    """Return the cost, checked to keep the axes of samples, for logits ``b n k`` with ``axes`` axes.

    A cost that flattens z ``s b n k`` as if it were ``b n k`` would sum over the batch.
    """

    def checked(z: Tensor) -> Tensor:
        value = cost(z)
        if not isinstance(value, Tensor):
            raise ValueError(f"cost must return a tensor of one value per example, got {type(value).__name__}")
        if 0 < value.ndim <= (leading := z.ndim - axes):
            raise ValueError(
                f"cost must return one value per sample and example, a leading part of {tuple(z.shape[:-1])} longer "
                f"than {tuple(z.shape[:leading])} for z of shape {tuple(z.shape)}, got {tuple(value.shape)}; let it "
                "count axes from the last one"
            )
        return value

    return checked


def evaluate_pathwise(cost: Cost, z: Tensor) -> Tensor:
    """Return ``evaluate(cost, z)`` of a z that carries a gradient.

    Raises:
        ValueError: the cost returned another shape, or a value without a gradient for such a z.
    """
    try:
        value = evaluate(cost, z)
    except RuntimeError as error:
        if "on Tensor that requires grad" in str(error):  # z.numpy()
            raise ValueError(NO_GRADIENT) from error
        raise
    if z.requires_grad and torch.is_grad_enabled() and not value.requires_grad:
        raise ValueError(NO_GRADIENT)
    return value


def evaluate(cost: Cost, z: Tensor) -> Tensor:
    """Return ``cost(z)``, checked to be one value per example: its shape is a leading part of z's shape.

    Raises:
        ValueError: the cost returned another shape.
    """
    value = cost(z)
    if not value.ndim or value.ndim >= z.ndim or value.shape != z.shape[: value.ndim]:
        raise ValueError(
            f"cost must return one value per example, a leading part of {tuple(z.shape[:-1])} for z of shape "
            f"{tuple(z.shape)}, got {tuple(value.shape)}"
        )
    return value


def upcast(logits: Tensor) -> Tensor:
    """Return the logits in float32 at least."""
    return logits.to(torch.promote_types(logits.dtype, torch.float32))


def straight_through(hard: Float[Tensor, "*b k"], soft: Float[Tensor, "*b k"]) -> Float[Tensor, "*b k"]:
    """Return the value of ``hard`` with the gradient of ``soft``, both ``... k``; it may share ``hard``'s memory."""
    hard, soft = check_logits(hard, "hard"), check_logits(soft, "soft")
    if eager() and hard.shape == soft.shape and hard.dtype == soft.dtype:
        return _StraightThrough.apply(hard, soft) if soft.requires_grad else hard
    # The bracket is exactly zero; ``hard + soft - soft.detach()`` would round and not be one-hot.
    return hard + (soft - soft.detach())


@torch.compiler.disable  # compiled functions have no second derivative
def value_and_grad(cost: Cost, point: Tensor, create_graph: bool = False) -> tuple[Tensor, Tensor]:
    """Return ``cost(point)`` and its gradient for ``point``, also under ``no_grad``.

    Raises:
        ValueError: the cost has no gradient for z, or inference mode is on.
    """
    if torch.is_inference_mode_enabled():
        raise ValueError("this estimator needs gradients for z: use torch.no_grad() instead of torch.inference_mode()")
    with torch.enable_grad():
        point = point.detach().requires_grad_()
        value = evaluate(cost, point)
        grad = None
        if value.requires_grad:
            with torch.autocast(point.device.type, enabled=False):  # as in any other backward pass
                (grad,) = torch.autograd.grad(value.sum(), point, create_graph=create_graph, allow_unused=True)
        if grad is None:
            raise ValueError(NO_GRADIENT)
    return (value if create_graph else value.detach()), grad


def sum_event(per_row: Tensor, like: Tensor) -> Tensor:
    """Sum a value per row of logits over the axes of one example, which ``like`` (a value per example) lacks."""
    return per_row.flatten(like.ndim).sum(-1) if per_row.ndim > like.ndim else per_row


def expand_event(per_example: Tensor, like: Tensor) -> Tensor:
    """Append axes of 1 to a value per example, so that it broadcasts against ``like``, ``... n k``."""
    return per_example.reshape(*per_example.shape, *[1] * (like.ndim - per_example.ndim))


def expand_temperature(temperature: Tensor | float) -> Tensor | float:
    """Return a temperature for logits with a new leading axis, since axes are aligned from the left."""
    return temperature[None] if isinstance(temperature, Tensor) and temperature.ndim else temperature


def with_gradient(value: Tensor, logits: Tensor, gradient: Tensor) -> Tensor:
    """Return ``value`` per example; its backward pass also adds ``gradient``, ``... n k``, to that of the logits."""
    finite = logits.masked_fill(logits.isneginf(), 0.0)
    surrogate = sum_event((gradient.detach() * finite).sum(-1), like=value)
    return value + (surrogate - surrogate.detach())


@torch.compiler.disable  # a backward pass inside the forward pass
def with_learning(value: Tensor, loss: Tensor, parameters: Sequence[Tensor]) -> Tensor:
    """Return ``value``; its backward pass also adds d log(mean(loss)) to the gradients of ``parameters``.

    The logarithm makes the step of an estimator's parameters independent of the cost's units, so that they never
    dominate a clipped gradient. They descend whether the expectation is minimised or, as a reward, maximised. No
    other tensor gets a gradient from ``loss``.

    ``loss`` comes from a function under ``torch.compiler.disable``. A compiled graph is one autograd node, so a loss
    from the value's own graph would free that graph here, before the value's backward pass.
    """
    parameters = [parameter for parameter in parameters if parameter.requires_grad]  # the others are frozen
    if not parameters or not torch.is_grad_enabled():
        return value
    mean = loss.mean()
    tiny = torch.finfo(mean.dtype).tiny
    with torch.autocast(mean.device.type, enabled=False):
        gradients = torch.autograd.grad(mean / mean.detach().clamp(min=tiny), parameters, materialize_grads=True)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        value = _Descend.apply(value, parameter, gradient)
    return value


class _Descend(torch.autograd.Function):
    """Identity of ``value`` that adds ``gradient`` for the parameter, times the summed |gradient| of the value."""

    @staticmethod
    def forward(value: Tensor, parameter: Tensor, gradient: Tensor) -> Tensor:
        return value.clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(inputs[2])

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        return grad, ctx.saved_tensors[0] * grad.abs().sum(), None


class _StraightThrough(torch.autograd.Function):
    """The first argument's value with a gradient for both, without a pass over memory."""

    @staticmethod
    def forward(ctx: Any, hard: Tensor, soft: Tensor) -> Tensor:
        return hard.view_as(hard)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor]:
        return grad if ctx.needs_input_grad[0] else None, grad


def check_event_shape(name: str, event_shape: Sequence[int] | None) -> torch.Size:
    """Return the shape ``n k`` of one example's logits; ValueError if the estimator needs it and it is missing."""
    if event_shape is None:
        raise ValueError(
            f"estimator '{name}' is built for one shape of logits: "
            "give RelaxedCategorical event_shape=(latents, categories)"
        )
    return torch.Size(event_shape)


def check_event(event_shape: torch.Size, logits: Tensor, value: Tensor) -> None:
    """Check that the axes of ``logits`` beyond ``value``, one per example, are the event shape; else ValueError."""
    if (event := logits.shape[value.ndim :]) != event_shape:
        raise ValueError(
            f"this estimator was built for event_shape={tuple(event_shape)}, got logits of shape {tuple(logits.shape)} "
            f"and a cost of shape {tuple(value.shape)}, so examples of shape {tuple(event)}"
        )
