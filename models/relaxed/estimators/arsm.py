"""ARSM (augment, REINFORCE, swap, merge): costs at the sample and at all swaps of the noise of two categories.

Yin, Yue & Zhou 2019 (arXiv:1905.01413), the estimator for several latents.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..estimator import ESTIMATORS, Estimator
from ..noise import NoiseFn
from ..sampling import gumbel_max, one_hot, tempered_softmax
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
        pairs = torch.combinations(torch.arange(k, device=logits.device))
        value = evaluate(cost, one_hot(gumbel_max(logits, noise=noise), k, logits.dtype))  # s b
        with torch.no_grad():
            others = evaluate(cost, one_hot(swapped_codes(logits, noise, pairs), k, logits.dtype))  # w s b
        index = torch.zeros(k, k, dtype=torch.int64, device=logits.device)  # 0: the sample itself
        index[pairs[:, 0], pairs[:, 1]] = index[pairs[:, 1], pairs[:, 0]] = 1 + torch.arange(len(pairs)).to(index)

        # Gradient of category c: the sum over j of the contrast of swap (c, j) times 1/k - Dirichlet noise of j.
        table = upcast(torch.cat([value.detach()[None], others]))[index]  # c j s b
        contrast = (table - table.mean(0)).movedim((0, 1), (-2, -1))  # s b c j
        dirichlet = tempered_softmax(-noise, 1.0)  # exponential variables, normalised
        flat = (1 / k - dirichlet).reshape(*value.shape, logits.shape[value.ndim : -1].numel(), k)  # s b n j
        with torch.autocast(flat.device.type, enabled=False):
            gradient = torch.einsum("...cj,...nj->...nc", contrast, flat.to(contrast.dtype)).reshape(logits.shape)
        value = with_gradient(value, logits, gradient)
        return value.mean(0) if self.samples > 1 else value

    def cost_evaluations(self, n: int, k: int) -> int:
        """Return one per pair of categories and one for the sample."""
        return self.samples * (k * (k - 1) // 2 + 1)


def swapped_codes(logits: Tensor, noise: Tensor, pairs: Tensor) -> Tensor:
    """Return the codes after each swap of the noise of two categories, ``w ... n``, without making the swapped noise.

    A swap changes the scores of its two categories. So its code is one of them, or the best of the others, which is
    among the best three of all.

    Args:
        logits: ``... n k``.
        noise: ``... n k``.
        pairs: categories of each swap, ``w 2``.
    """
    logits, noise = (x.detach().movedim(-1, 0) for x in (upcast(logits), noise))  # k ... n
    c, j = (side.reshape(-1, *[1] * (noise.ndim - 1)) for side in pairs.unbind(1))  # w 1 ... 1
    best, code = logits[pairs[:, 0]] + noise[pairs[:, 1]], c  # w ... n
    swapped = logits[pairs[:, 1]] + noise[pairs[:, 0]]
    code, best = torch.where(swapped > best, j, code), torch.maximum(swapped, best)
    scores, order = (logits + noise).topk(min(3, len(noise)), 0)
    taken = torch.zeros_like(code, dtype=torch.bool)  # the best of the other categories has been seen
    for score, other in zip(scores, order, strict=True):
        free = (other != c) & (other != j) & ~taken
        better = free & (score > best)
        code, best = torch.where(better, other, code), torch.where(better, score, best)
        taken = taken | free
    return code
