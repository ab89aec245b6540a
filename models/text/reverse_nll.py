"""Reverse NLL: how well a language model that learnt from a model's samples alone predicts real text.

Zhao et al. 2018 (ARAE, arXiv:1706.04223), section 5, "reverse perplexity". It punishes what is missing in the samples
as well as what is wrong in them, but the little model's own shortcomings are in it too: compare it with the same figure
for real text in the place of the samples.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .generators.base import Generator

BATCH = 64


def reverse_nll(
    make: Callable[[], Generator],
    sample: Callable[[int], Tensor],
    tokens: Tensor,
    lengths: Tensor,
    length_of: Callable[[Tensor], Tensor],
    steps: int,
    learning_rate: float,
) -> float:
    """Nats per token of real text under a fresh generator trained on samples, each of which it sees once.

    Args:
        make: builds the generator.
        sample: draws n sentences, ``n t``.
        tokens: real text ``b t``.
        lengths: its lengths ``b``.
        length_of: the lengths of samples, ``b t -> b``.
        steps: training steps of 64 samples each.
        learning_rate: of Adam.
    """
    with torch.inference_mode(False), torch.enable_grad():
        generator = make().to(tokens.device).train()
        optimizer = torch.optim.Adam(generator.parameters(), lr=learning_rate)
        for _ in range(steps):
            samples = sample(BATCH).clone()
            counted = length_of(samples)
            loss = -generator.log_prob(samples, counted).sum() / counted.sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        generator.eval()
        rows = zip(tokens.split(500), lengths.split(500), strict=True)
        nats = sum(float(generator.log_prob(row, length).sum()) for row, length in rows)
    return -nats / float(lengths.sum())
