"""Copies of sentences among those that were drawn lately: the count by which copies share their reward.

Within a batch: Guimaraes et al. 2017 (arXiv:1705.10843), section 3. With a memory of earlier batches it is a diversity
filter: Blaschke et al. 2020 (Journal of Cheminformatics 12:68). Axes: ``n`` sentences, ``m`` remembered ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import torch
from torch import Tensor, nn

from ....ranges import check_sizes

MOST = 10_000_000  # remembered sentences, of eight bytes each


class RecentCopies(nn.Module):
    """Number of copies of each sentence in its batch and among the last sentences before it.

    Args:
        memory: m, how many sentences of earlier batches count. They are saved with a checkpoint.

    Raises:
        ValueError: a memory that is no whole number from 0 to ``MOST``.
    """

    recent: Tensor

    def __init__(self, memory: int = 0) -> None:
        super().__init__()
        check_sizes(0, memory=memory)
        if memory > MOST:
            raise ValueError(f"memory must be at most {MOST} sentences, got {memory}")
        self.register_buffer("recent", torch.zeros(memory, dtype=torch.int64), persistent=memory > 0)

    def forward(self, forms: Sequence[str | None]) -> Tensor:
        """Return the number of copies of canonical forms, itself included, float32 ``n``, and remember them."""
        keys = torch.tensor([key(form) for form in forms], device=self.recent.device)
        seen = torch.cat([self.recent, keys])
        self.recent = seen[len(keys) :]
        found, counts = seen.unique(return_counts=True)
        return counts[torch.searchsorted(found, keys)].float()


def key(form: str | None) -> int:
    """Return 64 bits of a form that are the same in every process; 0 of an invalid one, as of no sentence yet."""
    digest = b"" if form is None else blake2b(form.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)
