"""DisARM (also U2G): REINFORCE on two antithetic binary samples with their common noise integrated out.

Dong, Mnih & Tucker 2020 (arXiv:2006.10680), section 3; Yin, Ho, Yan, Qian & Zhou 2020 (arXiv:2006.06448).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..checks import check_finite
from ..estimator import ESTIMATORS, Estimator
from ..noise import NoiseFn
from ..sampling import one_hot
from ..surrogate import Cost, evaluate, expand_event, repeat_samples, upcast, with_gradient


@ESTIMATORS.register("disarm")
class DisARM(Estimator):
    """Unbiased for latents of two categories, from one-hot samples only.

    Args:
        samples: antithetic pairs of z per example.
        event_shape: shape ``n 2`` of one example's logits.

    Raises:
        ValueError: an event shape of more than two categories.
    """

    unbiased = True
    pathwise = False
    learns_temperature = False
    categories = 2

    def __init__(self, samples: int = 1, event_shape: Sequence[int] | None = None) -> None:
        super().__init__(samples, event_shape)
        if event_shape is not None:
            self._check(event_shape[-1])

    def expectation(self, logits: Tensor, cost: Cost, temperature: Tensor | float, noise_fn: NoiseFn) -> Tensor:
        """Return the mean cost of the pairs, ``b``.

        Raises:
            ValueError: latents of more than two categories.
        """
        self._check(logits.shape[-1])
        logits = repeat_samples(logits, self.samples)  # s b n 2
        off, on = upcast(logits.detach()).unbind(-1)
        check_finite(torch.maximum(off, on), logits)
        noise_off, noise_on = noise_fn(logits).unbind(-1)
        logistic = noise_on - noise_off
        codes = torch.stack([on - off + logistic > 0, on - off - logistic > 0]).long()  # 2 s b n
        value = evaluate(cost, one_hot(codes, 2, logits.dtype))  # 2 s b
        first, second = upcast(value.detach())
        # Where the pair agrees, this latent gets no gradient.
        sign = (codes[0] - codes[1]) * (on - off).abs().sigmoid()
        grad = expand_event((first - second) / 2, like=sign) * sign  # for the log-odds, s b n
        value = with_gradient(value.mean(0), logits, torch.stack([-grad, grad], -1))
        return value.mean(0) if self.samples > 1 else value

    def cost_evaluations(self, n: int, k: int) -> int:
        """Return two per pair."""
        return 2 * self.samples

    @staticmethod
    def _check(k: int) -> None:
        if k != 2:
            raise ValueError(f"estimator 'disarm' is for binary latents (categories=2), got {k}; use 'arsm' for more")
