"""Share and perplexity of the codes that are used over an epoch. Axes: ``q`` codebooks, ``k`` codes."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric

COUNTED = 2**24  # codes; their counts take 128 MiB


class CodebookUsage(Metric):
    """Histogram of codes over an epoch, summed over batches and processes.

    ``usage``: share of the q x k codes that occur. ``perplexity``: exp of the entropy of a codebook's codes, averaged
    over the codebooks; between 1 and k.

    Attributes:
        counts: histogram ``q k`` of the current epoch.
        last: histogram of the last epoch that was computed, on the CPU; None before.

    Raises:
        ValueError: more than 2^24 codes.
    """

    full_state_update = False
    counts: Tensor

    def __init__(self, codebooks: int, codebook_size: int) -> None:
        if codebooks * codebook_size > COUNTED:
            raise ValueError(
                f"a model counts the use of each code, of 2^24 at most, and the quantizer has {codebooks} x "
                f"{codebook_size}: give it a smaller codebook_size, or for fsq fewer levels"
            )
        super().__init__()
        self.last: Tensor | None = None
        self.add_state("counts", torch.zeros(codebooks, codebook_size, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, codes: Tensor) -> None:
        """Add codes ``... q``."""
        q, k = self.counts.shape
        flat = (codes + k * torch.arange(q, device=codes.device)).flatten()
        self.counts += torch.bincount(flat, minlength=q * k).reshape(q, k)

    def compute(self) -> dict[str, Tensor]:
        """Return ``usage`` and ``perplexity``."""
        self.last = self.counts.cpu()
        share = self.counts / self.counts.sum(-1, keepdim=True).clamp(min=1)
        return {
            "usage": (self.counts > 0).float().mean(),
            "perplexity": torch.special.entr(share).sum(-1).exp().mean(),
        }
