"""Softmax of perturbed logits as one operator on a CPU, and log-softmax; both are fast for few classes too.

The operator softmax((logits + noise) / temperature) goes through blocks of rows. A block and its intermediate results
stay in the cache, so that memory is read and written once. For few classes PyTorch's own softmax is not vectorised, so
it is composed from parts that are. The operator is differentiable any number of times, and the same in a compiled
function. Axes: ``r`` rows, ``k`` classes.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, library
from torch.autograd import forward_ad

_BLOCK = 2**16  # numbers in a block
_FEW = 16  # classes that fit into one vector register, as PyTorch's softmax is vectorised


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
    if (
        logits.device.type != "cpu"
        or torch._C._are_functorch_transforms_active()
        or torch.jit.is_tracing()
        or torch.compiler.is_exporting()
        or forward_ad._current_level >= 0
    ):
        return None
    temperature = torch.as_tensor(temperature, dtype=logits.dtype)
    return torch.ops.gumbelzoo.perturbed_softmax(logits, noise, temperature)


def log_softmax(logits: Tensor) -> Tensor:
    """Compute log-probabilities in float32 at least, ``... k``; NaN for a row without an allowed class."""
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    if logits.device.type != "cpu" or logits.shape[-1] >= _FEW:
        return logits.log_softmax(-1)
    shifted = logits - logits.detach().amax(-1, keepdim=True)
    return shifted - shifted.exp().sum(-1, keepdim=True).log()


library.define("gumbelzoo::perturbed_softmax", "(Tensor logits, Tensor? noise, Tensor temperature) -> Tensor")
library.define("gumbelzoo::softmax_gradient", "(Tensor grad, Tensor soft, Tensor temperature) -> Tensor")


@library.impl("gumbelzoo::perturbed_softmax", "CPU")
def _perturbed_softmax(logits: Tensor, noise: Tensor | None, temperature: Tensor) -> Tensor:
    k, result = logits.shape[-1], torch.empty(logits.shape, dtype=logits.dtype)
    rows, out = logits.reshape(-1, k), result.view(-1, k)
    perturbation = None if noise is None else noise.reshape(-1, k)
    factor, step = _factor(temperature, logits), max(1, _BLOCK // k)
    scratch = torch.empty(min(step, len(rows)), k, dtype=logits.dtype)
    for start in range(0, len(rows), step):
        block = slice(start, start + step)
        scores = scratch[: len(rows) - start]
        if perturbation is None:
            torch.mul(rows[block], _of(factor, block), out=scores)
        else:
            torch.add(rows[block], perturbation[block], out=scores).mul_(_of(factor, block))
        if k < _FEW:
            torch.exp(scores.sub_(scores.amax(-1, keepdim=True)), out=out[block])
            out[block].div_(out[block].sum(-1, keepdim=True))
        else:
            torch.ops.aten._softmax.out(scores, -1, False, out=out[block])
    return result


@library.impl("gumbelzoo::softmax_gradient", "CPU")
def _softmax_gradient(grad: Tensor, soft: Tensor, temperature: Tensor) -> Tensor:
    """Compute soft * (grad - sum_k soft * grad) / temperature, ``... k``."""
    k, result = soft.shape[-1], torch.empty(soft.shape, dtype=soft.dtype)
    grad, rows, out = grad.reshape(-1, k), soft.reshape(-1, k), result.view(-1, k)
    factor, step = _factor(temperature, soft), max(1, _BLOCK // k)
    for start in range(0, len(rows), step):
        block = slice(start, start + step)
        if k < _FEW:
            product = torch.mul(grad[block], rows[block], out=out[block])
            product.addcmul_(rows[block], product.sum(-1, keepdim=True), value=-1)
        else:
            torch.ops.aten._softmax_backward_data.out(grad[block], rows[block], -1, soft.dtype, grad_input=out[block])
        out[block].mul_(_of(factor, block))
    return result


def _factor(temperature: Tensor, like: Tensor) -> float | Tensor:
    """1 / temperature, a number or ``r 1``."""
    if temperature.numel() == 1:
        return 1 / float(temperature)
    return temperature.expand(*like.shape[:-1], 1).reshape(-1, 1).reciprocal()


def _of(factor: float | Tensor, block: slice) -> float | Tensor:
    return factor if isinstance(factor, float) else factor[block]


@library.register_fake("gumbelzoo::perturbed_softmax")
def _perturbed_softmax_fake(logits: Tensor, noise: Tensor | None, temperature: Tensor) -> Tensor:
    return torch.empty(logits.shape, dtype=logits.dtype, device=logits.device)


@library.register_fake("gumbelzoo::softmax_gradient")
def _softmax_gradient_fake(grad: Tensor, soft: Tensor, temperature: Tensor) -> Tensor:
    return torch.empty(soft.shape, dtype=soft.dtype, device=soft.device)


def _keep_sample(ctx: Any, inputs: tuple[Tensor, Tensor | None, Tensor], output: Tensor) -> None:
    ctx.save_for_backward(output, inputs[2])


def _differentiate(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor | None, None]:
    gradient = torch.ops.gumbelzoo.softmax_gradient(grad, *ctx.saved_tensors)
    return gradient, gradient if ctx.needs_input_grad[1] else None, None


def _keep_inputs(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _differentiate_again(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
    """Gradients of ``softmax_gradient``, which is linear and symmetric in its first argument."""
    first, soft, temperature = ctx.saved_tensors
    inner, outer = (soft * first).sum(-1, keepdim=True), (soft * grad).sum(-1, keepdim=True)
    by_soft = (grad * (first - inner) - first * outer) / temperature
    return torch.ops.gumbelzoo.softmax_gradient(grad, soft, temperature), by_soft, None


library.register_autograd("gumbelzoo::perturbed_softmax", _differentiate, setup_context=_keep_sample)
library.register_autograd("gumbelzoo::softmax_gradient", _differentiate_again, setup_context=_keep_inputs)
