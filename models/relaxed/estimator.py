"""What every gradient estimator of E_{z ~ q}[cost(z)] is, and the table of those that exist.

Axes: ``b`` batch, ``n`` latents, ``k`` categories, ``s`` samples. An estimator is one class in one file, filed under
its name with ``@ESTIMATORS.register("name")``, with facts about itself that the tests check over the whole table. One
that learns (a baseline, a control variate) trains its own parameters through ``attach_learning``, in the model's
optimizer step.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ...registry import Registry
from .densities import categorical_kl
from .noise import gumbel_noise

Cost = Callable[[Tensor], Tensor]
NoiseSource = Callable[[Tensor], Tensor]  # standard Gumbel noise of the shape of what it is called with


class Estimator(nn.Module):
    """A gradient estimator. Subclasses state the facts and write ``sample`` (pathwise ones) or ``expectation``.

    A constructor that has an argument ``event_shape`` is given the layer's: the shape ``n k`` of one example's logits.

    Args:
        samples: draws of z per example; with more than one, z has a leading axis ``s`` and the cost keeps it.
    """

    unbiased: ClassVar[bool]  # is the gradient's expectation the exact gradient?
    pathwise: ClassVar[bool]  # does it work on plain `layer(logits)`?
    exact_value: ClassVar[bool] = True  # is the value (so also the gradient for the cost's own parameters) unbiased?
    learns_temperature: ClassVar[bool] = True  # does a temperature get a gradient?
    minimum_samples: ClassVar[int] = 1  # fewer draws than this give no estimate
    categories: ClassVar[int | None] = None  # the only k that it works for

    noise_draws: int = 1  # Gumbel variables behind one category of one sample; several have a leading axis

    def __init__(self, samples: int = 1) -> None:
        super().__init__()
        if type(samples) is not int or samples < self.minimum_samples:
            raise ValueError(f"this estimator needs a whole number samples >= {self.minimum_samples}, got {samples!r}")
        self.samples = samples

    def sample(self, logits: Tensor, temperature: Tensor | float, source: NoiseSource) -> Tensor:
        """A point of the simplex for each row of logits ``... k``, with a gradient; pathwise estimators only."""
        raise NotImplementedError

    def expectation(self, logits: Tensor, cost: Cost, temperature: Tensor | float, source: NoiseSource) -> Tensor:
        """Estimate E[cost(z)] per example; here for pathwise estimators, where the gradient flows through z."""
        if self.samples == 1:
            return evaluate(cost, self.sample(logits, temperature, source))
        repeated = repeat_samples(logits, self.samples)
        return evaluate(cost, self.sample(repeated, lead(temperature), source)).mean(0)

    def multi_sample_bound(
        self, logits: Tensor, log_weight: Cost, m: int, temperature: Tensor | float, source: NoiseSource
    ) -> Tensor:
        """Estimate E[log 1/m sum_i exp(log_weight(z_i))] per example: the m copies are latents of one expectation."""
        return -self.expectation(repeat_copies(logits, m), bound_cost(log_weight), temperature, source)

    def kl(
        self, logits: Tensor, prior_logits: Tensor | None, temperature: Tensor | float, source: NoiseSource
    ) -> Tensor:
        """KL(q || prior) per row in nats, ``... k -> ...``, the one of the objective: analytic unless z is relaxed."""
        return categorical_kl(logits, prior_logits)

    def cost_evaluations(self, n: int, k: int) -> int:
        """How often the cost is evaluated per example and step, for n latents of k categories."""
        return self.samples


ESTIMATORS: Registry[type[Estimator]] = Registry("estimator")


def draw_noise(like: Tensor, *, noise: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
    """Standard Gumbel noise of the shape of ``like``: ``noise`` if given (ValueError for another shape), else drawn."""
    if noise is None:
        return gumbel_noise(like, generator=generator)
    if noise.shape != like.shape:
        raise ValueError(f"noise must have shape {tuple(like.shape)}, got {tuple(noise.shape)}")
    return noise


def repeat_samples(logits: Tensor, samples: int) -> Tensor:
    """``b ... k -> s b ... k`` for several samples; unchanged for one."""
    return logits.expand(samples, *logits.shape) if samples > 1 else logits


def repeat_copies(logits: Tensor, m: int) -> Tensor:
    """``b n k -> b n m k``: m independent copies of every latent."""
    return logits.unsqueeze(-2).expand(*logits.shape[:-1], m, logits.shape[-1])


def bound_cost(log_weight: Cost) -> Cost:
    """The cost -log 1/m sum_i exp(log_weight(z_i)) of copies ``... b n m k``, for log-weights of z ``m ... b n k``."""

    def cost(z: Tensor) -> Tensor:
        log_weights = evaluate(log_weight, z.movedim(-2, 0))  # m ... b
        return math.log(len(log_weights)) - log_weights.logsumexp(0)

    return cost


def evaluate(cost: Cost, z: Tensor) -> Tensor:
    """``cost(z)``, checked to be one value per example: its shape is the leading part of z's shape.

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


def full_precision(logits: Tensor) -> Tensor:
    """At least float32."""
    return logits.to(torch.promote_types(logits.dtype, torch.float32))


@torch.compiler.disable  # compiled functions have no second derivative
def cost_slope(cost: Cost, point: Tensor, create_graph: bool = False) -> tuple[Tensor, Tensor]:
    """``cost(point)`` and its gradient for ``point``, inside no_grad too.

    Raises:
        ValueError: the cost has no gradient for z, or nothing has one, in inference mode.
    """
    if torch.is_inference_mode_enabled():
        raise ValueError("this estimator needs gradients for z: use torch.no_grad() instead of torch.inference_mode()")
    with torch.enable_grad():
        point = point.detach().requires_grad_()
        value = evaluate(cost, point)
        slope = None
        if value.requires_grad:
            with torch.autocast(point.device.type, enabled=False):  # as in any other backward pass
                (slope,) = torch.autograd.grad(value.sum(), point, create_graph=create_graph, allow_unused=True)
        if slope is None:
            raise ValueError("this estimator needs a cost with a gradient for z; use 'reinforce' for a black box")
    return (value if create_graph else value.detach()), slope


def sum_event(per_row: Tensor, like: Tensor) -> Tensor:
    """Sum a value per row of logits over the axes that ``like`` (a value per example) no longer has."""
    return per_row.flatten(like.ndim).sum(-1) if per_row.ndim > like.ndim else per_row


def expand_event(per_example: Tensor, like: Tensor) -> Tensor:
    """A value per example, with axes of 1 in place of those that ``like`` (``... n k``) has beyond it."""
    return per_example.reshape(*per_example.shape, *[1] * (like.ndim - per_example.ndim))


def lead(temperature: Tensor | float) -> Tensor | float:
    """A temperature for logits that got a leading axis: it lines up with them from the left."""
    return temperature[None] if isinstance(temperature, Tensor) and temperature.ndim else temperature


def attach_gradient(value: Tensor, logits: Tensor, gradient: Tensor) -> Tensor:
    """``value`` per example, unchanged, with ``gradient`` (``... n k``) added to its gradient for the logits."""
    finite = logits.masked_fill(logits.isneginf(), 0.0)
    surrogate = sum_event((gradient.detach() * finite).sum(-1), like=value)
    return value + (surrogate - surrogate.detach())


@torch.compiler.disable  # a backward pass inside the forward pass
def attach_learning(value: Tensor, loss: Tensor, parameters: Sequence[Tensor]) -> Tensor:
    """``value``, unchanged, whose backward pass makes an estimator's own ``parameters`` descend log(mean(loss)).

    The logarithm makes their step independent of the cost's units, so that they never dominate a clipped gradient. They
    descend whether the expectation is minimised or, as a reward, maximised. Nothing else that ``loss`` depends on gets
    a gradient.

    ``loss`` comes from a function under ``torch.compiler.disable``. A compiled graph is one autograd node, so a loss
    out of the value's own graph would free that graph here, before the value's backward pass.
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
    """``value``, with ``gradient`` for the parameter, times the sizes of the gradients for the value."""

    @staticmethod
    def forward(value: Tensor, parameter: Tensor, gradient: Tensor) -> Tensor:
        return value.clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(inputs[2])

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, Tensor, None]:
        return slope, ctx.saved_tensors[0] * slope.abs().sum(), None


def check_event_shape(name: str, event_shape: Sequence[int] | None) -> torch.Size:
    """The shape ``n k`` of one example's logits, for an estimator that is built for it; ValueError if it is missing."""
    if event_shape is None:
        raise ValueError(
            f"estimator '{name}' is built for one shape of logits: "
            "give RelaxedCategorical event_shape=(latents, categories)"
        )
    return torch.Size(event_shape)


def check_event(event_shape: torch.Size, logits: Tensor, value: Tensor) -> None:
    """ValueError if what ``value``, one per example, leaves of the shape of ``logits`` is not the event shape."""
    if (event := logits.shape[value.ndim :]) != event_shape:
        raise ValueError(
            f"this estimator was built for event_shape={tuple(event_shape)}, got logits of shape {tuple(logits.shape)} "
            f"and a cost of shape {tuple(value.shape)}, so examples of shape {tuple(event)}"
        )
