"""The interface of gates, by name in ``GATES``: which of n channels stay open.

Axes: ``b`` examples, ``n`` gates, ``s`` samples.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from ...ranges import check_sizes
from ...registry import Registry
from ..relaxed.surrogate import Cost


class Gates(nn.Module):
    """Base class of gates: they multiply n channels, and a closed one is 0.

    All gates are functions of logits ``... n``, which a selector gives. In eval mode nothing is drawn. Where
    ``uses_logits`` is False, models freeze the selector: DDP refuses a trained parameter without a gradient.

    Args:
        channels: number of gates n.
    """

    uses_logits: ClassVar[bool] = True  # the gates depend on the logits

    def __init__(self, channels: int) -> None:
        super().__init__()
        check_sizes(channels=channels)
        self.channels = channels

    def expectation(self, logits: Tensor, cost: Cost) -> Tensor:
        """Estimate E[cost(z)] with gradients for the logits and the cost's own parameters, ``b n -> b``.

        In eval mode it is the cost of ``mode``. One row of logits is one draw for a whole batch: the cost of its rows
        is a mean.

        Args:
            logits: ``b n``, or ``1 n``.
            cost: maps gates of the shape of the logits, or ``s b n``, to one value per row, ``b`` or ``s b``.
        """
        raise NotImplementedError

    def mode(self, logits: Tensor) -> Tensor:
        """Return the gates of evaluation, ``... n -> ... n``, 0 where a channel is closed; without gradient."""
        raise NotImplementedError

    def open_probability(self, logits: Tensor) -> Tensor:
        """Compute the probability that a gate is not 0, ``... n -> ... n``, with a gradient."""
        raise NotImplementedError


def check_open(k: int, channels: int) -> None:
    """Check that k of the channels can be open, else ValueError."""
    check_sizes(k=k)
    if k > channels:
        raise ValueError(f"k must be at most the number of channels, got k={k} of {channels}")


GATES: Registry[type[Gates]] = Registry("gates", context=("channels",), base=Gates)
