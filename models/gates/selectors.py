"""Networks that give the logits of gates, by name in ``SELECTORS``: one vector for all, or a function of the input.

Axes: ``b`` examples, ``n`` channels, ``h w`` positions.
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor, nn

from ...ranges import check_numbers, check_sizes
from ...registry import Registry

SPEED = 10.0  # of static logits: Adam moves all parameters alike, and a gate has to move from 0.7 to 0 or 1


class Selector(nn.Module):
    """Base class of selectors; ``dynamic`` states whether the logits depend on the input.

    Args:
        channels: number of channels n.
        start: probability with which a Bernoulli gate is open before training, in (0, 1).

    Raises:
        ValueError: a probability outside (0, 1).
    """

    dynamic: ClassVar[bool]  # the gates depend on the input

    def __init__(self, channels: int, start: float) -> None:
        super().__init__()
        check_sizes(channels=channels)
        check_numbers(start=start)
        if not 0 < start < 1:
            raise ValueError(f"start must be a probability in (0, 1), got {start}")
        self.start = math.log(start / (1 - start))

    def forward(self, features: Tensor) -> Tensor:
        """Return logits of channels ``b n h w``: ``b n``, or ``1 n`` for one draw per batch."""
        raise NotImplementedError


SELECTORS: Registry[type[Selector]] = Registry("gate selector", context=("channels",), base=Selector)


@SELECTORS.register("static")
class StaticSelector(Selector):
    """The same logits for every input.

    Args:
        channels: number of channels n.
        start: probability with which a Bernoulli gate is open before training, in (0, 1).
        draw: example (each row has its own draw) or batch (one draw for all rows).

    Raises:
        ValueError: a probability outside (0, 1), an unknown ``draw``.
    """

    dynamic = False

    def __init__(self, channels: int, start: float = 0.7, draw: str = "example") -> None:
        super().__init__(channels, start)
        if draw not in ("example", "batch"):
            raise ValueError(f"draw must be one of example, batch, got '{draw}'")
        self.draw = draw
        # Equal logits of equal channels would get equal gradients from a symmetric network.
        self.slow_logits = nn.Parameter((self.start + 0.01 * torch.randn(channels)) / SPEED)

    def forward(self, features: Tensor) -> Tensor:
        """Return the logits, ``b n`` or ``1 n``."""
        rows = features.shape[0] if self.draw == "example" else 1  # len would fix the batch of an exported graph
        return (SPEED * self.slow_logits).expand(rows, -1)


@SELECTORS.register("dynamic")
class DynamicSelector(Selector):
    """Logits from the mean size of each channel, through a hidden layer: which channels an input needs.

    Args:
        channels: number of channels n.
        start: probability with which a Bernoulli gate is open before training, in (0, 1).
        hidden: width of the hidden layer.

    Raises:
        ValueError: a probability outside (0, 1), a width < 1.
    """

    dynamic = True

    def __init__(self, channels: int, start: float = 0.7, hidden: int = 32) -> None:
        super().__init__(channels, start)
        check_sizes(hidden=hidden)
        last = nn.Linear(hidden, channels)
        nn.init.constant_(last.bias, self.start)
        self.network = nn.Sequential(nn.Linear(channels, hidden), nn.ReLU(), last)

    def forward(self, features: Tensor) -> Tensor:
        """Return logits ``b n``."""
        return self.network(features.abs().mean((-2, -1)))
