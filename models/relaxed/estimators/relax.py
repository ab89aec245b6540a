"""RELAX: REBAR whose control variate has a free-form network on top.

Grathwohl, Choi, Wu, Roeder & Duvenaud 2018 (arXiv:1711.00123), section 3.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..baselines import per_example, small_network
from ..estimator import ESTIMATORS, Cost, check_event_shape, cost_slope
from ..sampling import tempered_softmax
from .rebar import Rebar


@ESTIMATORS.register("relax")
class Relax(Rebar):
    """The network sees the relaxed sample and the probabilities of its latents, and learns as the scale does.

    Args:
        samples: draws of z per example.
        scale: of the relaxed cost in the control variate, at first.
        hidden: width of the network.
        event_shape: given by the layer.
    """

    def __init__(
        self, samples: int = 1, scale: float = 1.0, hidden: int = 128, event_shape: Sequence[int] | None = None
    ) -> None:
        super().__init__(samples, scale)
        self.event_shape = check_event_shape("relax", event_shape)
        self.network = small_network(2 * self.event_shape.numel(), hidden)

    def control_variate(
        self, z: Tensor, p: Tensor, cost: Cost, temperature: Tensor | float, dtype: torch.dtype
    ) -> tuple[Tensor, Tensor]:
        """REBAR's plus the network's."""
        c, slope = super().control_variate(z, p, cost, temperature, dtype)

        def correction(z: Tensor) -> Tensor:
            return per_example(self.network, self.event_shape, c, tempered_softmax(z, temperature), p)

        correction_value, correction_slope = cost_slope(correction, z, create_graph=torch.is_grad_enabled())
        return c + correction_value, slope + correction_slope
