"""ARSM (augment, REINFORCE, swap, merge): the cost at the sample and at all swaps of two categories' noise.

Yin, Yue & Zhou 2019 (arXiv:1905.01413), the estimator for several latents.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor

from ..estimator import (
    ESTIMATORS,
    Cost,
    Estimator,
    NoiseSource,
    attach_gradient,
    evaluate,
    full_precision,
    repeat_samples,
)
from ..sampling import gumbel_max, one_hot


@ESTIMATORS.register("arsm")
class Arsm(Estimator):
    """Unbiased, for any k, without relaxation or learning, but with k (k - 1) / 2 + 1 cost evaluations.

    All but one of them are of swapped samples, which weigh the gradient of the logits: they keep no graph. The cost's
    own parameters learn from the sample itself.

    Args:
        samples: draws of the noise per example; each gives one z for every swap.
    """

    unbiased = True
    pathwise = False
    learns_temperature = False

    def expectation(self, logits: Tensor, cost: Cost, temperature: Tensor | float, source: NoiseSource) -> Tensor:
        """Mean cost of the samples."""
        logits = repeat_samples(logits, self.samples)  # s b n k
        k = logits.shape[-1]
        noise = source(logits)
        swaps, index = swap_table(k)
        swapped = noise[..., swaps.to(noise.device)].movedim(-2, 0)  # w s b n k
        codes = gumbel_max(logits.expand_as(swapped), noise=swapped)
        value = evaluate(cost, one_hot(codes[0], k, logits.dtype))  # s b
        with torch.no_grad():
            others = evaluate(cost, one_hot(codes[1:], k, logits.dtype))

        table = full_precision(torch.cat([value.detach()[None], others]))[index.to(noise.device)]  # c j s b
        contrast = (table - table.mean(0)).movedim((0, 1), (-2, -1))  # s b c j
        dirichlet = (-noise).softmax(-1)  # exponential variables, normalised
        flat = (1 / k - dirichlet).reshape(*value.shape, logits.shape[value.ndim : -1].numel(), k)  # s b n j
        with torch.autocast(flat.device.type, enabled=False):
            gradient = torch.einsum("...cj,...nj->...nc", contrast, flat.to(contrast.dtype)).reshape(logits.shape)
        value = attach_gradient(value, logits, gradient)
        return value.mean(0) if self.samples > 1 else value

    def cost_evaluations(self, n: int, k: int) -> int:
        """One per pair of categories and one for the sample."""
        return self.samples * (k * (k - 1) // 2 + 1)


def swap_table(k: int) -> tuple[Tensor, Tensor]:
    """The identity and all swaps as permutations ``w k``, and which of them swaps c and j, ``c j``."""
    pairs = list(itertools.combinations(range(k), 2))
    swaps = torch.arange(k).repeat(len(pairs) + 1, 1)
    index = torch.zeros(k, k, dtype=torch.int64)
    for row, (c, j) in enumerate(pairs, start=1):
        swaps[row, c], swaps[row, j] = j, c
        index[c, j] = index[j, c] = row
    return swaps, index
