"""Sums over the rows of each code, and Lloyd's k-means made of them, over the rows of all processes."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..relaxed.shapes import Float, Int
from .distances import nearest
from .distributed import draw_rows, total


@torch.no_grad()
def kmeans(rows: Float[Tensor, "n d"], centres: Float[Tensor, "k d"], iterations: int = 10) -> Float[Tensor, "k d"]:
    """The centres after some iterations, ``k d``; one that no row is nearest to starts again at a row."""
    for _ in range(iterations):
        codes = nearest(rows, centres)
        counts = cluster_counts(codes, len(centres), rows.dtype)
        centres = cluster_sums(rows, codes, len(centres)) / counts.clamp(min=1)[:, None]
        empty = counts == 0
        if empty.any():
            centres[empty] = draw_rows(rows, int(empty.sum()))
    return centres


@torch.no_grad()
def cluster_sums(rows: Float[Tensor, "n d"], codes: Int[Tensor, " n"], k: int) -> Float[Tensor, "k d"]:
    """The sum of each code's rows, ``k d``."""
    return total(rows.new_zeros(k, rows.shape[-1]).index_add_(0, codes, rows))


@torch.no_grad()
def cluster_counts(codes: Int[Tensor, " n"], k: int, dtype: torch.dtype = torch.float32) -> Float[Tensor, " k"]:
    """How many rows each code has, ``n -> k``."""
    ones = torch.ones((), dtype=dtype, device=codes.device)
    return total(ones.new_zeros(k).index_add_(0, codes, ones.expand(len(codes))))


@torch.no_grad()
def cluster_variance(rows: Float[Tensor, "n d"], centres: Float[Tensor, "k d"]) -> Float[Tensor, ""]:
    """The variance of a coordinate of row - nearest centre, where the k centres are means of these n rows.

    Its denominator is n - k: with few rows for each centre, rows are near their centre whatever their distribution. No
    more than k rows say nothing of it; then it is that of all rows around their mean.
    """
    if total(rows.new_tensor([len(rows)])) <= len(centres):
        sums = total(torch.stack([rows.sum(0), torch.full_like(rows[0], len(rows))]))
        centres = (sums[0] / sums[1])[None]
    distance = F.mse_loss(rows, F.embedding(nearest(rows, centres), centres), reduction="sum")
    square, number = total(torch.stack([distance, distance.new_tensor(len(rows))]))
    return square / (rows.shape[-1] * (number - len(centres)).clamp(min=1))
