"""Standard exponential and Gumbel noise in float32: never 0, infinite or NaN, with fine steps where maxima are decided.

A Gumbel variable is g = -log(E) with E exponential, and argmax(logits + g) is decided by the smallest E. So E is made as
-log1p(-u) from a uniform u on the midpoints of a grid of 2^-31: floats are dense near u = 0, no epsilon is needed, and
the bounds are E in [2.3e-10, 16.7], g in [-2.9, 22.2].
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

_STEP = 2.0**-31
_LARGEST = 1.0 - 2.0**-24  # the largest float32 below 1, to which the last 64 points of the grid round


def exponential_noise(
    like: Tensor | Sequence[int], *, generator: torch.Generator | None = None, device: torch.device | str | None = None
) -> Tensor:
    """Standard exponential noise, float32.

    Args:
        like: a shape; or a tensor (of any dtype) whose shape and device are taken. Inside ``torch.func.vmap`` give the
            tensor, for noise that differs between the mapped examples.
        generator: the source of random bits, for a draw that can be repeated.
        device: where to draw, with a shape; the default device otherwise.
    """
    uniform = _uniform(like, generator, device)
    return uniform.neg_().log1p_().neg_()


def gumbel_noise(
    like: Tensor | Sequence[int], *, generator: torch.Generator | None = None, device: torch.device | str | None = None
) -> Tensor:
    """Standard Gumbel noise, float32; arguments as for ``exponential_noise``."""
    return exponential_noise(like, generator=generator, device=device).log_().neg_()


def _uniform(
    like: Tensor | Sequence[int], generator: torch.Generator | None, device: torch.device | str | None
) -> Tensor:
    """Uniform noise in the open interval (0, 1) from 31 random bits, rounded to float32."""
    like = like.detach() if isinstance(like, Tensor) else torch.empty(like, device=device)
    # A 64-bit draw costs as much as a 32-bit one, and fills two numbers.
    pairs = like.new_empty((like.numel() + 1) // 2, dtype=torch.int64).random_(generator=generator)
    bits = pairs.view(torch.int32)[: like.numel()].view(like.shape).bitwise_and_(0x7FFFFFFF)
    return bits.float().add_(0.5).mul_(_STEP).clamp_(max=_LARGEST)
