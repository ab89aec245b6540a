"""Lloyd's k-means over the rows of all processes; it starts a codebook."""

from __future__ import annotations

import torch
from torch import Tensor

from ..relaxed.shapes import Float, Int
from .distributed import draw_rows, total
from .nearest import nearest


@torch.no_grad()
def kmeans(rows: Float[Tensor, "n d"], centres: Float[Tensor, "k d"], iterations: int = 10) -> Float[Tensor, "k d"]:
    """The centres after some iterations, ``k d``; one that no row is nearest to starts again at a row."""
    for _ in range(iterations):
        counts, sums = cluster_sums(rows, nearest(rows, centres), len(centres))
        centres = sums / counts.clamp(min=1)[:, None]
        empty = counts == 0
        if empty.any():
            centres[empty] = draw_rows(rows, int(empty.sum()))
    return centres


@torch.no_grad()
def cluster_sums(
    rows: Float[Tensor, "n d"], codes: Int[Tensor, " n"], k: int
) -> tuple[Float[Tensor, " k"], Float[Tensor, "k d"]]:
    """How many rows each code has, ``k``, and their sum, ``k d``, over all processes."""
    return cluster_counts(codes, k, rows.dtype), total(rows.new_zeros(k, rows.shape[-1]).index_add_(0, codes, rows))


@torch.no_grad()
def cluster_counts(codes: Int[Tensor, " n"], k: int, dtype: torch.dtype = torch.float32) -> Float[Tensor, " k"]:
    """How many rows each code has over all processes, ``n -> k``."""
    ones = torch.ones((), dtype=dtype, device=codes.device).expand(len(codes))
    return total(ones.new_zeros(k).index_add_(0, codes, ones))
