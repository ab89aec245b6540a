"""Softmax of perturbed logits as one operator on a CPU, and log-softmax; both are fast for few classes too.

The operator softmax((logits + noise) / temperature) goes through blocks of rows. A block and its intermediate results
stay in the cache, so that memory is read and written once. For few classes PyTorch's own softmax is not vectorised, so
it is composed from parts that are. The operator is differentiable any number of times, and the same in a compiled
function. Eager code does not pass PyTorch's dispatcher, which takes as long as a softmax of 20,000 numbers. Axes: ``r``
rows, ``k`` classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, library
from torch.autograd import forward_ad

from .checks import eager, refuse_recomputation
from .noise import NoiseBlocks
from .surrogate import upcast

_BLOCK = 2**16  # numbers in a block
# With fewer classes than a vector register holds, PyTorch's softmax is not vectorised.
_FEW = 16 if torch.backends.cpu.get_cpu_capability() == "AVX512" else 8


def perturbed_softmax(logits: Tensor, temperature: float | Tensor, noise: Tensor | None = None) -> Tensor | None:
    """Compute softmax((logits + noise) / temperature), ``... k``, float32 or float64 as the logits are.

    Args:
        logits: ``... k``.
        temperature: a number, or a tensor that broadcasts against the logits with a last axis of 1; without gradient.
        noise: of the logits' shape and type.

    Returns:
        The softmax; None where the operator does not work: on other devices, inside ``torch.func`` transforms,
        forward-mode differentiation, tracing and exporting.
    """
    if not _works(logits):
        return None
    if eager():
        return _PerturbedSoftmax.apply(logits, noise, temperature, None)
    temperature = torch.as_tensor(temperature, dtype=logits.dtype)
    return torch.ops.gumbelzoo.perturbed_softmax(logits, noise, temperature)


def drawn_softmax(
    logits: Tensor, temperature: float | Tensor, generator: torch.Generator | None = None
) -> Tensor | None:
    """Compute ``perturbed_softmax`` of the noise that ``gumbel_noise`` draws, a block at a time and never kept.

    Args:
        logits, temperature: as for ``perturbed_softmax``.
        generator: source of the noise.

    Returns:
        As for ``perturbed_softmax``; None also for float64 logits, and in a compiled function with a generator.
    """
    if logits.dtype != torch.float32 or not logits.numel() or not _works(logits):
        return None
    if eager():
        if generator is not None:
            refuse_recomputation("a generator of its own")
        return _PerturbedSoftmax.apply(logits, None, temperature, _blocks(logits, generator))
    if generator is not None:
        return None
    return torch.ops.gumbelzoo.drawn_softmax(logits, torch.as_tensor(temperature, dtype=logits.dtype))


def _works(logits: Tensor) -> bool:
    return (
        logits.device.type == "cpu"
        and not torch._C._are_functorch_transforms_active()
        and not torch.jit.is_tracing()
        and not torch.compiler.is_exporting()
        and forward_ad._current_level < 0
    )


def _blocks(logits: Tensor, generator: torch.Generator | None) -> NoiseBlocks:
    return NoiseBlocks(min(logits.numel(), _rows(logits) * logits.shape[-1]), logits.device, generator)


def _rows(logits: Tensor) -> int:
    """Rows of a block; an even number, as ``NoiseBlocks`` needs."""
    return max(2, _BLOCK // logits.shape[-1] // 2 * 2)


def log_softmax(logits: Tensor) -> Tensor:
    """Compute log-probabilities in float32 at least, ``... k``; NaN for a row without an allowed class."""
    logits = upcast(logits)
    if logits.device.type != "cpu" or logits.shape[-1] >= _FEW:
        return logits.log_softmax(-1)
    shifted = logits - logits.detach().amax(-1, keepdim=True)
    return shifted - shifted.exp().sum(-1, keepdim=True).log()


def _forward(
    logits: Tensor, noise: Tensor | None, temperature: float | Tensor, blocks: NoiseBlocks | None = None
) -> Tensor:
    k, result = logits.shape[-1], torch.empty(logits.shape, dtype=logits.dtype)
    step = _rows(logits)
    rows, out = logits.reshape(-1, k).split(step), result.view(-1, k).split(step)
    perturbations = noise.reshape(-1, k).split(step) if noise is not None else (None,) * len(rows)
    factors = _factors(temperature, logits, step, len(rows))
    scratch = torch.empty(rows[0].shape, dtype=logits.dtype)
    for row, perturbation, factor, soft in zip(rows, perturbations, factors, out, strict=True):
        scores = scratch if len(row) == len(scratch) else scratch[: len(row)]
        if blocks is not None:
            torch.sub(row, blocks.fill(scores).log_(), out=scores).mul_(factor)
        elif perturbation is None:
            torch.mul(row, factor, out=scores)
        else:
            torch.add(row, perturbation, out=scores).mul_(factor)
        if k < _FEW:
            torch.exp(scores.sub_(scores.amax(-1, keepdim=True)), out=soft)
            soft.div_(soft.sum(-1, keepdim=True))
        else:
            torch.ops.aten._softmax.out(scores, -1, False, out=soft)
    return result


def _backward(grad: Tensor, soft: Tensor, temperature: float | Tensor) -> Tensor:
    """Compute soft * (grad - sum_k soft * grad) / temperature, ``... k``."""
    k, result = soft.shape[-1], torch.empty(soft.shape, dtype=soft.dtype)
    step = _rows(soft)
    grads, rows, outs = (x.reshape(-1, k).split(step) for x in (grad, soft, result))
    factors = _factors(temperature, soft, step, len(rows))
    for gradient, row, factor, out in zip(grads, rows, factors, outs, strict=True):
        if k < _FEW:
            torch.mul(gradient, row, out=out)
            out.addcmul_(row, out.sum(-1, keepdim=True), value=-1)
        else:
            torch.ops.aten._softmax_backward_data.out(gradient, row, -1, soft.dtype, grad_input=out)
        out.mul_(factor)
    return result


def _factors(temperature: float | Tensor, like: Tensor, step: int, blocks: int) -> Sequence[float | Tensor]:
    """1 / temperature for each block: a number, or ``r 1``."""
    if not isinstance(temperature, Tensor) or temperature.numel() == 1:
        return (1 / float(temperature),) * blocks
    return temperature.to(like.dtype).expand(*like.shape[:-1], 1).reshape(-1, 1).reciprocal().split(step)


class _PerturbedSoftmax(torch.autograd.Function):
    """The operators in eager mode."""

    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, noise: Tensor | None, temperature: float | Tensor, blocks: NoiseBlocks | None
    ) -> Tensor:
        soft = _forward(logits, noise, temperature, blocks)
        ctx.temperature = temperature
        ctx.save_for_backward(soft)
        return soft

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor | None, None, None]:
        (soft,) = ctx.saved_tensors
        if torch.is_grad_enabled():  # for second derivatives
            temperature = torch.as_tensor(ctx.temperature, dtype=soft.dtype)
            gradient = torch.ops.gumbelzoo.softmax_gradient(grad, soft, temperature)
        else:
            gradient = _backward(grad, soft, ctx.temperature)
        return gradient, gradient if ctx.needs_input_grad[1] else None, None, None


library.define("gumbelzoo::perturbed_softmax", "(Tensor logits, Tensor? noise, Tensor temperature) -> Tensor")
library.define(
    "gumbelzoo::drawn_softmax", "(Tensor logits, Tensor temperature) -> Tensor", tags=torch.Tag.nondeterministic_seeded
)
library.define("gumbelzoo::softmax_gradient", "(Tensor grad, Tensor soft, Tensor temperature) -> Tensor")
library.impl("gumbelzoo::perturbed_softmax", "CPU", _forward)
library.impl("gumbelzoo::softmax_gradient", "CPU", _backward)


@library.impl("gumbelzoo::drawn_softmax", "CPU")
def _drawn_softmax(logits: Tensor, temperature: Tensor) -> Tensor:
    return _forward(logits, None, temperature, _blocks(logits, None))


@library.register_fake("gumbelzoo::perturbed_softmax")
@library.register_fake("gumbelzoo::drawn_softmax")
@library.register_fake("gumbelzoo::softmax_gradient")
def _fake(first: Tensor, *others: Tensor | None) -> Tensor:
    return torch.empty(first.shape, dtype=first.dtype, device=first.device)


def _keep_sample(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(output, inputs[-1])  # the temperature


def _differentiate(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor | None, None]:
    gradient = torch.ops.gumbelzoo.softmax_gradient(grad, *ctx.saved_tensors)
    return gradient, gradient if ctx.needs_input_grad[1] else None, None


def _differentiate_drawn(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
    return torch.ops.gumbelzoo.softmax_gradient(grad, *ctx.saved_tensors), None


def _keep_inputs(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _differentiate_again(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
    """Gradients of ``softmax_gradient``, which is linear and symmetric in its first argument."""
    first, soft, temperature = ctx.saved_tensors
    inner, outer = (soft * first).sum(-1, keepdim=True), (soft * grad).sum(-1, keepdim=True)
    by_soft = (grad * (first - inner) - first * outer) / temperature
    return torch.ops.gumbelzoo.softmax_gradient(grad, soft, temperature), by_soft, None


library.register_autograd("gumbelzoo::perturbed_softmax", _differentiate, setup_context=_keep_sample)
library.register_autograd("gumbelzoo::drawn_softmax", _differentiate_drawn, setup_context=_keep_sample)
library.register_autograd("gumbelzoo::softmax_gradient", _differentiate_again, setup_context=_keep_inputs)
