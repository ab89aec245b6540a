"""Lloyd's k-means over the inputs of all processes, and its sums per cluster. Axes: ``n`` inputs, ``k`` codes."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..relaxed.distributed import draw_inputs, total
from ..relaxed.shapes import Float, Int
from .distances import nearest


@torch.no_grad()
def kmeans(inputs: Float[Tensor, "n d"], centres: Float[Tensor, "k d"], iterations: int = 10) -> Float[Tensor, "k d"]:
    """Return the centres after some iterations; the centre of an empty cluster restarts at a random input."""
    for _ in range(iterations):
        codes = nearest(inputs, centres)
        counts = cluster_counts(codes, len(centres), inputs.dtype)
        centres = cluster_sums(inputs, codes, len(centres)) / counts.clamp(min=1)[:, None]
        empty = counts == 0
        if empty.any():
            centres[empty] = draw_inputs(inputs, int(empty.sum()))
    return centres


@torch.no_grad()
def cluster_sums(inputs: Float[Tensor, "n d"], codes: Int[Tensor, " n"], k: int) -> Float[Tensor, "k d"]:
    """Sum the inputs of each code over all processes, ``k d``."""
    return total(inputs.new_zeros(k, inputs.shape[-1]).index_add_(0, codes, inputs))


@torch.no_grad()
def cluster_counts(codes: Int[Tensor, " n"], k: int, dtype: torch.dtype = torch.float32) -> Float[Tensor, " k"]:
    """Count the inputs of each code over all processes, ``n -> k``."""
    ones = torch.ones((), dtype=dtype, device=codes.device)
    return total(ones.new_zeros(k).index_add_(0, codes, ones.expand(len(codes))))


@torch.no_grad()
def cluster_variance(inputs: Float[Tensor, "n d"], centres: Float[Tensor, "k d"]) -> Float[Tensor, ""]:
    """Estimate the variance of a coordinate of input - nearest centre, for k centres that are means of these n inputs.

    The denominator is n - k: with few inputs per centre, inputs are close to their centre under any distribution.
    With n <= k it is the variance of all inputs around their mean.
    """
    if total(inputs.new_tensor([len(inputs)])) <= len(centres):
        sums = total(torch.stack([inputs.sum(0), torch.full_like(inputs[0], len(inputs))]))
        centres = (sums[0] / sums[1])[None]
    distance = F.mse_loss(inputs, F.embedding(nearest(inputs, centres), centres), reduction="sum")
    square, number = total(torch.stack([distance, distance.new_tensor(len(inputs))]))
    return square / (inputs.shape[-1] * (number - len(centres)).clamp(min=1))
