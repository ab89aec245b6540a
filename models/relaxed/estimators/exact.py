"""Exact expectation by enumeration of all k^n configurations, the reference for every other estimator."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..checks import check_finite
from ..densities import log_prob
from ..estimator import ESTIMATORS, Estimator
from ..noise import NoiseFn
from ..sampling import one_hot
from ..surrogate import Cost, evaluate, sum_event

MAXIMUM_CONFIGURATIONS = 65_536


@ESTIMATORS.register("exact")
class Exact(Estimator):
    """Sum of q(z) cost(z) over all z, with autograd's gradient: no bias, no variance, k^n cost evaluations."""

    unbiased = True
    pathwise = False
    learns_temperature = False

    def __init__(self, event_shape: Sequence[int] | None = None) -> None:
        super().__init__(event_shape=event_shape)

    def expectation(self, logits: Tensor, cost: Cost, temperature: Tensor | float, noise_fn: NoiseFn) -> Tensor:
        """Compute the expectation, ``b``.

        Raises:
            ValueError: more than 65,536 configurations.
        """
        k = logits.shape[-1]
        with torch.no_grad():  # one evaluation shows which axes belong to one example
            batch = evaluate(cost, one_hot(logits.argmax(-1), k, logits.dtype)).shape
        event = logits.shape[len(batch) : -1]  # n
        latents = event.numel()
        if k**latents > MAXIMUM_CONFIGURATIONS:
            raise ValueError(
                f"estimator 'exact' enumerates {k}^{latents} configurations, more than {MAXIMUM_CONFIGURATIONS}; "
                "use fewer latents or categories, or a sampling estimator such as 'reinforce'"
            )
        codes = configurations(latents, k, logits.device).reshape(-1, *[1] * len(batch), *event)  # c 1 n
        codes = codes.expand(-1, *batch, *event)  # c b n
        logits = logits.expand(len(codes), *logits.shape)  # c b n k
        value = evaluate(cost, one_hot(codes, k, logits.dtype))  # c b
        probability = sum_event(log_prob(logits, codes), like=value).exp()  # c b
        check_finite(probability, logits)
        # A masked configuration may have any cost, infinite too, and 0 * inf is NaN.
        return (probability * value.masked_fill(probability == 0, 0.0)).sum(0)

    def cost_evaluations(self, n: int, k: int) -> int:
        """Return one per configuration, and one that shows the shape of the cost."""
        return k**n + 1


def configurations(n: int, k: int, device: torch.device | None = None) -> Tensor:
    """Return every assignment of n latents to k categories in lexicographic order, ``k^n n``."""
    index = torch.arange(k**n, device=device)[:, None]  # c 1
    place = torch.tensor([k**i for i in range(n - 1, -1, -1)], device=device)  # n; compiles with a dynamic k
    return index // place % k
