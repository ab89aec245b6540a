"""A codebook that stays alive: k-means at the start, moving averages, revival of codes that nobody uses.

Exponential moving averages: van den Oord et al. 2017 (arXiv:1711.00937), appendix A.1, with Laplace smoothing. All
statistics are sums over the processes of a distributed run, so that every process holds the same codebook.
Axes: ``n`` rows of a batch, ``k`` codes, ``d`` width.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..relaxed.shapes import Float, Int
from .distances import nearest
from .distributed import draw_rows
from .kmeans import cluster_counts, cluster_sums, kmeans

EPSILON = 1e-5
STEP = 0.1  # between a code and the one that is put beside it, in mean distances of the used codes from their mean


class Codebook(nn.Module):
    """``k d`` vectors with what is known about their use. They only change in ``prepare`` and ``observe``.

    Args:
        size: k.
        dim: d.
        ema: the vectors are moving averages of their rows, instead of a parameter.
        unit: the vectors have length 1.
        committed: rows stay near their codes, so that a revived code starts at a row. If nothing draws rows to their
            codes, only the codes are where the decoder expects vectors: it starts beside the code of a row.
        decay: of all moving averages, per training batch.
        start_batches: how many first training batches start the codebook by k-means; 0 leaves it random.
        revive: a code is unused if its moving count of rows is less than this part of the mean code's; 0 revives none.

    Raises:
        ValueError: decay or revive outside [0, 1), a negative start_batches.
    """

    weight: Tensor
    counts: Tensor
    sums: Tensor
    batches: Tensor

    def __init__(
        self,
        size: int,
        dim: int,
        ema: bool = False,
        unit: bool = False,
        committed: bool = True,
        decay: float = 0.99,
        start_batches: int = 1,
        revive: float = 0.03,
    ) -> None:
        super().__init__()
        if not 0 <= decay < 1 or not 0 <= revive < 1 or start_batches < 0:
            raise ValueError(
                f"a codebook needs decay in [0, 1), revive in [0, 1) and start_batches >= 0, got {decay}, {revive} and "
                f"{start_batches}"
            )
        self.ema, self.unit, self.committed = ema, unit, committed
        self.decay, self.start_batches, self.revive = decay, start_batches, revive
        weight = torch.randn(size, dim) / dim**0.5
        self.register_buffer("counts", torch.ones(size))  # moving mean of the rows per batch
        self.register_buffer("batches", torch.zeros((), dtype=torch.int64))
        if ema:
            self.register_buffer("weight", weight)
            self.register_buffer("sums", weight.clone())
        else:
            self.weight = nn.Parameter(weight)

    def forward(self) -> Tensor:
        """The vectors, ``k d`` in float32 at least."""
        weight = self.weight.to(torch.promote_types(self.weight.dtype, torch.float32))
        return F.normalize(weight, dim=-1) if self.unit else weight

    @torch.no_grad()
    def prepare(self, rows: Float[Tensor, "n d"]) -> bool:
        """Before a training batch uses the codebook: k-means in the first batches, revival later. Was it k-means?"""
        self.batches += 1
        if self.batches <= self.start_batches:
            centres = draw_rows(rows, len(self.weight)) if self.batches == 1 else self()
            self._restart(torch.ones_like(self.counts, dtype=torch.bool), kmeans(rows, centres))
            return True
        unused = self.counts < self.revive * self.counts.mean()
        if unused.any():
            drawn = draw_rows(rows, int(unused.sum()))
            self._restart(unused, drawn if self.committed else beside_codes(drawn, self(), self.counts))
        return False

    @torch.no_grad()
    def observe(self, rows: Float[Tensor, "n d"], codes: Int[Tensor, " n"]) -> None:
        """After a training batch: move the statistics, and the vectors if they are moving averages."""
        self.count(cluster_counts(codes, len(self.counts), self.counts.dtype))
        if self.ema:
            self.sums.lerp_(cluster_sums(rows, codes, len(self.sums)), 1 - self.decay)
            self.weight.copy_(smoothed_means(self.counts, self.sums))

    @torch.no_grad()
    def count(self, counts: Float[Tensor, " k"]) -> None:
        """Move the mean number of rows by that of a training batch, over all processes."""
        self.counts.lerp_(counts.to(self.counts), 1 - self.decay)

    def _restart(self, which: Tensor, vectors: Tensor) -> None:
        """Put codes at ``vectors``, as if they had been used as often as the mean code."""
        self.weight[which] = vectors.to(self.weight)
        self.counts[which] = self.counts.mean()
        if self.ema:
            self.sums[which] = self.weight[which] * self.counts[which, None]


def beside_codes(
    rows: Float[Tensor, "n d"], codebook: Float[Tensor, "k d"], counts: Float[Tensor, " k"]
) -> Float[Tensor, "n d"]:
    """The nearest code of each row, a small step towards the row, so that the two codes share their rows."""
    codes = F.embedding(nearest(rows, codebook), codebook)
    use = (counts / counts.sum())[:, None]  # an unused code may be anywhere
    spread = (use * (codebook - (use * codebook).sum(0)).norm(dim=-1, keepdim=True)).sum()
    return codes + STEP * spread * F.normalize(rows - codes, dim=-1)


def smoothed_means(counts: Float[Tensor, " k"], sums: Float[Tensor, "k d"]) -> Float[Tensor, "k d"]:
    """sums / counts, with counts smoothed by Laplace's rule, which keeps their total."""
    n = counts.sum()
    smoothed = (counts + EPSILON) * n / (n + len(counts) * EPSILON)
    return sums / smoothed[:, None]
