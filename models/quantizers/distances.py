"""The nearest code of each row, in chunks: never all n x k distances at a time, let alone n x k x d differences."""

from __future__ import annotations

import math

import torch
from einops import rearrange
from torch import Tensor

from ..relaxed.shapes import Float, Int

CHUNK = {"cpu": 2**20}  # distances held at a time: 4 MiB, what stays in a cache
CHUNK_ELSEWHERE = 2**26  # on a GPU 256 MiB, enough to keep it busy
BLOCK = 64


@torch.no_grad()
def nearest(rows: Float[Tensor, "n d"], codebook: Float[Tensor, "k d"]) -> Int[Tensor, " n"]:
    """argmin_k |row - code|^2, ``n d -> n`` (int64), the first code on ties.

    |row|^2 is the same for all codes, so that |code|^2 / 2 - row . code has the same argmin: one fused product. Both
    are measured from the middle of the codebook, since far from 0 the product would round the distances away.
    """
    k, middle = len(codebook), codebook.mean(0)
    codebook = codebook - middle
    offset = codebook.square().sum(-1) / 2  # k
    step = max(1, CHUNK.get(rows.device.type, CHUNK_ELSEWHERE) // k)
    scores = rows.new_full((min(step, len(rows)), -(-k // BLOCK) * BLOCK), math.inf)
    codes = torch.empty(len(rows), dtype=torch.int64, device=rows.device)
    for part, out in zip(rows.split(step), codes.split(step), strict=True):
        chunk = scores[: len(part)]
        torch.addmm(offset, part - middle, codebook.T, alpha=-1, out=chunk[:, :k])
        out.copy_(argmin(chunk))
    return codes


def argmin(scores: Float[Tensor, "n k"]) -> Int[Tensor, " n"]:
    """``scores.argmin(-1)`` for k divisible by BLOCK; minima of blocks are several times faster than indices of all."""
    blocks = rearrange(scores, "n (j i) -> n j i", i=BLOCK)
    best = blocks.amin(-1).argmin(-1, keepdim=True)  # n 1
    inside = blocks.take_along_dim(best[..., None], 1).argmin(-1)  # n 1
    return (best * BLOCK + inside).squeeze(-1)
