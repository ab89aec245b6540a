"""Latents and categories used over an epoch. Axes: ``b`` batch, ``n`` latents, ``k`` categories."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric

from .checks import readable

ACTIVE_NATS = 0.01  # mean KL of an active latent


class LatentUsage(Metric):
    """Usage of latents and categories over an epoch, summed over batches and processes.

    ``active_latents``: latents whose mean KL from the prior exceeds 0.01 nats. ``usage``: share of the n x k categories
    that are the mode of at least one example. ``perplexity``: exp of the entropy of a latent's modes over the epoch,
    averaged over latents; between 1 and k.
    """

    full_state_update = False
    counts: Tensor
    kl: Tensor
    examples: Tensor

    def __init__(self, latents: int, categories: int) -> None:
        super().__init__()
        self.add_state("counts", torch.zeros(latents, categories), dist_reduce_fx="sum")
        self.add_state("kl", torch.zeros(latents), dist_reduce_fx="sum")
        self.add_state("examples", torch.zeros(()), dist_reduce_fx="sum")

    def update(self, codes: Tensor, kl: Tensor) -> None:
        """Add the modes ``b n`` and the KL ``b n`` (nats) of a batch.

        Raises:
            ValueError: on a CPU, a KL that is NaN.
        """
        if readable(kl) and bool(kl.isnan().any()):
            raise ValueError("the KL of latents contains NaN; check the logits (a smaller learning rate often helps)")
        latent = torch.arange(codes.shape[1], device=codes.device).expand_as(codes)
        ones = torch.ones_like(codes, dtype=self.counts.dtype)
        self.counts.index_put_((latent, codes), ones, accumulate=True)
        self.kl += kl.sum(0)
        self.examples += codes.shape[0]

    def compute(self) -> dict[str, Tensor]:
        """Return the three metrics by name."""
        share = self.counts / self.examples
        return {
            "active_latents": (self.kl / self.examples > ACTIVE_NATS).float().sum(),
            "usage": (self.counts > 0).float().mean(),
            "perplexity": torch.special.entr(share).sum(-1).exp().mean(),
        }
