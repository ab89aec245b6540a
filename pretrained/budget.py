"""Bound on what a model's arguments may ask for, before it is built from a file from elsewhere."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.overrides import TorchFunctionMode


class Budget(TorchFunctionMode):
    """Context in which building a model on the device ``meta`` stops once the model outgrows its weights.

    Nothing is allocated on that device. The budget bounds the time of this first build, and what a second, real build
    would allocate in addition to its weights.

    Args:
        tensors: number of tensors in the weights; building one takes about six calls of torch.
        elements: number of elements in all of them.

    Raises:
        ValueError: more calls of torch than so many tensors need, or a tensor far larger than the weights.
    """

    def __init__(self, tensors: int, elements: int) -> None:
        super().__init__()
        self.calls, self.elements = 1000 + 20 * tensors, (1 << 22) + 4 * elements

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        self.calls -= 1
        if self.calls < 0 or (isinstance(result, Tensor) and result.numel() > self.elements):
            raise ValueError("the arguments ask for a far larger model than the weights fill")
        return result
