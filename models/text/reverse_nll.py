"""Reverse NLL: the loss on real text of a language model that was trained on a model's samples only.

Zhao et al. 2018 (ARAE, arXiv:1706.04223), section 5, "reverse perplexity". It penalises text that the samples lack as
well as wrong samples. It includes the small model's own error: compare it with the value for real text in place of the
samples.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .generators.base import LanguageModel

BATCH = 64


def reverse_nll(
    build: Callable[[], LanguageModel],
    sample: Callable[[int], Tensor],
    tokens: Tensor,
    lengths: Tensor,
    lengths_of: Callable[[Tensor], Tensor],
    steps: int,
    learning_rate: float,
) -> float:
    """Train a fresh generator on samples, each seen once, and return its nats per token on real text.

    Args:
        build: builds the generator.
        sample: draws n sentences, ``n t``.
        tokens: real text ``b t``.
        lengths: its lengths ``b``.
        lengths_of: lengths of samples, ``b t -> b``.
        steps: optimizer steps of 64 samples each.
        learning_rate: of Adam.
    """
    with torch.inference_mode(False), torch.enable_grad():
        generator = build().to(tokens.device).train()
        optimizer = torch.optim.Adam(generator.parameters(), lr=learning_rate)
        for _ in range(steps):
            samples = sample(BATCH).clone()
            sample_lengths = lengths_of(samples)
            loss = -generator.log_prob(samples, sample_lengths).sum() / sample_lengths.sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        generator.eval()
        chunks = zip(tokens.split(500), lengths.split(500), strict=True)
        log_prob = sum(float(generator.log_prob(chunk, length).sum()) for chunk, length in chunks)
    return -log_prob / float(lengths.sum())
