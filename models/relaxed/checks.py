"""Checks of what comes into the layer and the quantizers, each where it is cheap. Axes: ``k`` classes."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def check_logits(logits: Tensor, name: str = "logits") -> Tensor:
    """Return ``logits``; ValueError unless they are a tensor, floating point, and have a class."""
    if not isinstance(logits, Tensor):
        raise ValueError(f"{name} must be a tensor, got {type(logits).__name__}; use torch.as_tensor({name})")
    if not logits.is_floating_point():
        raise ValueError(f"{name} must be floating point, got {logits.dtype}; use {name}.float()")
    if not torch.jit.is_tracing() and (not logits.ndim or not logits.shape[-1]):
        raise ValueError(f"{name} must have a last axis of one class or more, got shape {tuple(logits.shape)}")
    return logits


def check_codes(codes: Tensor) -> Tensor:
    """Return codes as int64; ValueError unless they are a tensor of whole numbers."""
    if not isinstance(codes, Tensor):
        raise ValueError(f"codes must be a tensor, got {type(codes).__name__}; use torch.as_tensor(codes)")
    if codes.is_floating_point() or codes.dtype == torch.bool or codes.is_complex():
        raise ValueError(f"codes must be whole numbers, got {codes.dtype}; use codes.long()")
    return codes.long()


def check_indices(codes: Tensor, n: int) -> Tensor:
    """Return codes as int64 indices of n values; values are read on the CPU, elsewhere one outside becomes no index.

    Raises:
        ValueError: codes that are not whole numbers, or outside [0, n).
    """
    codes = check_codes(codes)
    outside = (codes < 0) | (codes >= n)
    if readable(codes) and bool(outside.any()):
        raise ValueError(f"codes must be in [0, {n}), one of {n} values, got {codes[outside][0].item()}")
    return codes.masked_fill(outside, torch.iinfo(codes.dtype).max // 2)


def check_code_range(codes: Tensor, n: int, k: int) -> Tensor:
    """Return codes ``... n`` in [0, k) as int64.

    Values are read in eager calls only: an exported program has none to read. ``torch.export`` leaves the check out.

    Raises:
        ValueError: codes that are not whole numbers, another number n of them, or values outside [0, k).
    """
    whole = check_codes(codes)  # k may exceed the range of the given integers: uint8 has no 256
    known = eager()
    if not codes.ndim or codes.shape[-1] != n or (known and bool(((whole < 0) | (whole >= k)).any())):
        values = f" with values in [{codes.min()}, {codes.max()}]" if known and codes.numel() else ""
        raise ValueError(
            f"codes must have shape (..., {n}) with whole values in [0, {k}), got shape {tuple(codes.shape)}{values}"
        )
    return whole


def check_finite(per_row: Tensor, logits: Tensor) -> None:
    """Check a result that is finite for every valid row of ``logits``; else ValueError with the reason."""
    # One pass over the values; the second test is for finite ones whose sum overflows.
    if not readable(per_row) or math.isfinite(per_row.detach().sum()) or bool(per_row.isfinite().all()):
        return
    if bool(logits.isnan().any()):
        raise ValueError("logits contain NaN; check what computes them (a smaller learning rate often helps)")
    if bool(logits.isposinf().any()):
        raise ValueError("logits contain +inf; check what computes them, or mask the other classes instead")
    if bool(logits.isneginf().all(-1).any()):
        raise ValueError("all classes of a row are masked; allow at least one class in every row")
    raise ValueError("the sample is not finite: temperature is too small for the logits or noise holds NaN; raise it")


def eager() -> bool:
    """Return False where tensors only stand for others: compiled, traced, fake, or inside ``torch.func``."""
    return not (
        torch.compiler.is_compiling()
        or torch.jit.is_tracing()
        or torch._C._are_functorch_transforms_active()
        or torch._C._len_torch_dispatch_stack()  # fake tensors, make_fx
    )


def readable(value: Tensor) -> bool:
    """Return True if the value can be read without waiting for a device or breaking a transform."""
    return value.device.type == "cpu" and eager()


def refuse_recomputation(state: str) -> None:
    """Raise a ValueError in a backward pass, where activation checkpointing calls a forward pass again.

    Args:
        state: what the first call has changed, so that the second one would give another gradient.
    """
    if not torch.compiler.is_compiling() and torch._C._current_graph_task_id() != -1:
        raise ValueError(
            f"activation checkpointing cannot recompute what changes or draws from {state}; "
            "leave this module outside torch.utils.checkpoint"
        )
