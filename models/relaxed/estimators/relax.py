"""RELAX: REBAR with a network added to its control variate.

Grathwohl, Choi, Wu, Roeder & Duvenaud 2018 (arXiv:1711.00123), section 3.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ....ranges import check_sizes
from ..baselines import per_example, small_network
from ..estimator import ESTIMATORS
from ..sampling import tempered_softmax
from ..surrogate import Cost, check_event_shape, value_and_grad
from .rebar import REBAR


@ESTIMATORS.register("relax")
class RELAX(REBAR):
    """Unbiased at any temperature, for costs that are differentiable in z, inside the simplex too.

    A cost that jumps inside the simplex makes the gradient biased, as with REBAR. Input of the network are the relaxed
    sample and the probabilities; it learns to minimise the variance of the gradient, like the scale.

    Args:
        samples: draws of z per example.
        scale: initial scale of the relaxed cost in the control variate.
        hidden: width of the network.
        event_shape: shape ``n k`` of one example's logits.

    Raises:
        ValueError: no event shape, a width below 1.
    """

    def __init__(
        self, samples: int = 1, scale: float = 1.0, hidden: int = 128, event_shape: Sequence[int] | None = None
    ) -> None:
        super().__init__(samples, scale, event_shape)
        check_sizes(hidden=hidden)
        self.event_shape = check_event_shape("relax", event_shape)
        self.network = small_network(2 * self.event_shape.numel(), hidden)

    def control_variate(
        self, z: Tensor, p: Tensor, cost: Cost, temperature: Tensor | float, dtype: torch.dtype
    ) -> tuple[Tensor, Tensor]:
        """Return value and gradient of REBAR's control variate plus the network."""
        c, grad = super().control_variate(z, p, cost, temperature, dtype)

        def correction(z: Tensor) -> Tensor:
            return per_example(self.network, self.event_shape, c, tempered_softmax(z, temperature), p)

        correction_value, correction_grad = value_and_grad(correction, z, create_graph=torch.is_grad_enabled())
        return c + correction_value, grad + correction_grad
