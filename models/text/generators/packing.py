"""Generators whose state is a few tensors, so that one step of sampling can run in another program.

Axes: ``b`` batch, ``m`` positions so far.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

from torch import Tensor


@runtime_checkable
class PackedState(Protocol):
    """What a generator has besides ``LanguageModel`` if ``export --onnx`` is to write its step."""

    def state_shapes(self) -> dict[str, tuple[int | str, ...]]:
        """Shapes of the state's float32 tensors by name; axes that vary are named ``batch`` and ``past`` (m).

        Before the first position every value is 0, and m is 0.
        """

    def pack_state(self, state: Any) -> tuple[Tensor, ...]:
        """Tensors of a state, in the order of ``state_shapes``."""

    def unpack_state(self, tensors: Sequence[Tensor]) -> Any:
        """State of such tensors, without dropout."""
