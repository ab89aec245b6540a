"""ARSM (augment, REINFORCE, swap, merge): costs at the sample and at all swaps of the noise of two categories.

Yin, Yue & Zhou 2019 (arXiv:1905.01413), the estimator for several latents.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor

from ..estimator import ESTIMATORS, Estimator
from ..noise import NoiseFn
from ..sampling import gumbel_max, one_hot
from ..surrogate import Cost, evaluate, repeat_samples, upcast, with_gradient


@ESTIMATORS.register("arsm")
class ARSM(Estimator):
    """Unbiased for any k, without relaxation or learning, at k (k - 1) / 2 + 1 cost evaluations.

    All but one evaluation are of swapped samples. They only weight the gradient of the logits and keep no graph; the
    cost's own parameters learn from the sample itself.

    Args:
        samples: draws of the noise per example; each gives one z per swap.
    """

    unbiased = True
    pathwise = False
    learns_temperature = False

    def expectation(self, logits: Tensor, cost: Cost, temperature: Tensor | float, noise_fn: NoiseFn) -> Tensor:
        """Return the mean cost of the samples, ``b``."""
        # Costs of the sample and of all its swaps.
        logits = repeat_samples(logits, self.samples)  # s b n k
        k = logits.shape[-1]
        noise = noise_fn(logits)
        swaps, index = swap_table(k)
        swapped = noise[..., swaps.to(noise.device)].movedim(-2, 0)  # w s b n k
        codes = gumbel_max(logits.expand_as(swapped), noise=swapped)
        value = evaluate(cost, one_hot(codes[0], k, logits.dtype))  # s b
        with torch.no_grad():
            others = evaluate(cost, one_hot(codes[1:], k, logits.dtype))

        # Gradient of category c: the sum over j of the contrast of swap (c, j) times 1/k - Dirichlet noise of j.
        table = upcast(torch.cat([value.detach()[None], others]))[index.to(noise.device)]  # c j s b
        contrast = (table - table.mean(0)).movedim((0, 1), (-2, -1))  # s b c j
        dirichlet = (-noise).softmax(-1)  # exponential variables, normalised
        flat = (1 / k - dirichlet).reshape(*value.shape, logits.shape[value.ndim : -1].numel(), k)  # s b n j
        with torch.autocast(flat.device.type, enabled=False):
            gradient = torch.einsum("...cj,...nj->...nc", contrast, flat.to(contrast.dtype)).reshape(logits.shape)
        value = with_gradient(value, logits, gradient)
        return value.mean(0) if self.samples > 1 else value

    def cost_evaluations(self, n: int, k: int) -> int:
        """Return one per pair of categories and one for the sample."""
        return self.samples * (k * (k - 1) // 2 + 1)


def swap_table(k: int) -> tuple[Tensor, Tensor]:
    """Return the identity and all swaps as permutations ``w k``, and the index of the swap of c and j, ``c j``."""
    pairs = list(itertools.combinations(range(k), 2))
    swaps = torch.arange(k).repeat(len(pairs) + 1, 1)
    index = torch.zeros(k, k, dtype=torch.int64)
    for row, (c, j) in enumerate(pairs, start=1):
        swaps[row, c], swaps[row, j] = j, c
        index[c, j] = index[j, c] = row
    return swaps, index
