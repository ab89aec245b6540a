"""What a generator is fed with after a relaxed token ``... v``, and so the path of gradients to earlier tokens."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from ....registry import Registry
from ...relaxed.sampling import argmax, hard_from_soft
from ...relaxed.surrogate import straight_through

FEEDBACKS: Registry[Callable[[Tensor], Tensor]] = Registry("feedback", context=("token",))


@FEEDBACKS.register("soft")
def soft(token: Tensor) -> Tensor:
    """Feed the sample itself, with its gradient."""
    return token


@FEEDBACKS.register("straight_through")
def hard(token: Tensor) -> Tensor:
    """Feed the one-hot of the sample's largest entry, with the sample's gradient."""
    return straight_through(hard_from_soft(token.detach()), token)


@FEEDBACKS.register("detached")
def detached(token: Tensor) -> Tensor:
    """Feed the id of the sample's largest entry, without gradient, ``... v -> ...``."""
    return argmax(token)
