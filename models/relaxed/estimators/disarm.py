"""DisARM (also U2G): REINFORCE on two antithetic binary samples, their common noise integrated out.

Dong, Mnih & Tucker 2020 (arXiv:2006.10680), section 3; Yin, Ho, Yan, Qian & Zhou 2020 (arXiv:2006.06448).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..estimator import (
    ESTIMATORS,
    Cost,
    Estimator,
    NoiseSource,
    attach_gradient,
    evaluate,
    expand_event,
    full_precision,
    repeat_samples,
)
from ..sampling import check_finite, one_hot


@ESTIMATORS.register("disarm")
class DisArm(Estimator):
    """Unbiased, for latents of two categories; the cost is only evaluated at one-hot samples.

    Args:
        samples: antithetic pairs of z per example.
        event_shape: given by the layer.
    """

    unbiased = True
    pathwise = False
    learns_temperature = False
    categories = 2

    def __init__(self, samples: int = 1, event_shape: Sequence[int] | None = None) -> None:
        super().__init__(samples)
        if event_shape is not None:
            self._check(event_shape[-1])

    def expectation(self, logits: Tensor, cost: Cost, temperature: Tensor | float, source: NoiseSource) -> Tensor:
        """Mean cost of the pairs.

        Raises:
            ValueError: latents of more than two categories.
        """
        self._check(logits.shape[-1])
        logits = repeat_samples(logits, self.samples)  # s b n 2
        off, on = full_precision(logits.detach()).unbind(-1)
        check_finite(torch.maximum(off, on), logits)
        noise_off, noise_on = source(logits).unbind(-1)
        logistic = noise_on - noise_off
        codes = torch.stack([on - off + logistic > 0, on - off - logistic > 0]).long()  # 2 s b n
        value = evaluate(cost, one_hot(codes, 2, logits.dtype))  # 2 s b
        first, second = full_precision(value.detach())
        # Where the pair agrees, the common noise says nothing about this latent.
        sign = (codes[0] - codes[1]) * (on - off).abs().sigmoid()
        slope = expand_event((first - second) / 2, like=sign) * sign  # for the log-odds, s b n
        value = attach_gradient(value.mean(0), logits, torch.stack([-slope, slope], -1))
        return value.mean(0) if self.samples > 1 else value

    def cost_evaluations(self, n: int, k: int) -> int:
        """Two per pair."""
        return 2 * self.samples

    @staticmethod
    def _check(k: int) -> None:
        if k != 2:
            raise ValueError(f"estimator 'disarm' is for binary latents (categories=2), got {k}; use 'arsm' for more")
