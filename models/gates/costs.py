"""Costs of open channels, by name in ``GATE_COSTS``: a penalty, or a budget. Axes: ``b`` rows, ``n`` gates."""

from __future__ import annotations

from torch import Tensor, nn

from ...ranges import check_numbers, check_weights
from ...registry import Registry


class GateCost(nn.Module):
    """Base class of costs.

    Args:
        prices: price of each open channel as a share of all, ``n``, which sums to 1: equal prices count channels, and
            floating-point operations count those.
    """

    prices: Tensor

    def __init__(self, prices: Tensor) -> None:
        super().__init__()
        self.register_buffer("prices", prices, persistent=False)

    def share(self, open_probability: Tensor) -> Tensor:
        """Return the expected share of the whole price, ``b n -> b``."""
        return (open_probability * self.prices).sum(-1)

    def forward(self, open_probability: Tensor) -> Tensor:
        """Return the cost of rows of P(open), ``b n -> b``, with a gradient."""
        raise NotImplementedError


GATE_COSTS: Registry[type[GateCost]] = Registry("gate cost", context=("prices",), base=GateCost)


@GATE_COSTS.register("none")
class NoCost(GateCost):
    """Nothing: for gates whose number is fixed."""

    def forward(self, open_probability: Tensor) -> Tensor:
        """Return zeros, ``b``."""
        return open_probability.new_zeros(open_probability.shape[:-1])


@GATE_COSTS.register("penalty")
class Penalty(GateCost):
    """``weight`` times the expected share of the price; of equal prices it is (weight / n) E[open gates].

    Args:
        prices: of each channel, ``n``.
        weight: nats for all channels.

    Raises:
        ValueError: a weight that is negative or not finite.
    """

    def __init__(self, prices: Tensor, weight: float = 0.1) -> None:
        super().__init__(prices)
        check_weights(weight=weight)
        self.weight = weight

    def forward(self, open_probability: Tensor) -> Tensor:
        """Return the penalty, ``b`` nats."""
        return self.weight * self.share(open_probability)


@GATE_COSTS.register("budget")
class Budget(GateCost):
    """``weight`` times what the mean share of the rows exceeds a budget by; nothing below it.

    The mean is over the rows of one process.

    Args:
        prices: of each channel, ``n``.
        share: the budget, in (0, 1].
        weight: nats for all channels.

    Raises:
        ValueError: a share outside (0, 1], a weight that is negative or not finite.
    """

    def __init__(self, prices: Tensor, share: float = 0.25, weight: float = 1.0) -> None:
        super().__init__(prices)
        check_weights(weight=weight)
        check_numbers(share=share)
        if not 0 < share <= 1:
            raise ValueError(f"share must be in (0, 1], got {share}")
        self.budget, self.weight = share, weight

    def forward(self, open_probability: Tensor) -> Tensor:
        """Return the excess over the budget, ``b`` nats, the same for all rows."""
        share = self.share(open_probability)
        return self.weight * (share.mean() - self.budget).clamp(min=0.0).expand_as(share)
