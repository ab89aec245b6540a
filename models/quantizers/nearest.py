"""The nearest code of each row, in chunks: never all n x k distances at a time, let alone n x k x d differences."""

from __future__ import annotations

import torch
from torch import Tensor

from ..relaxed.shapes import Float, Int

CHUNK = {"cpu": 2**18}  # distances held at a time: what stays in a core's cache
CHUNK_ELSEWHERE = 2**26  # on a GPU 256 MiB, enough to keep it busy


@torch.no_grad()
def nearest(rows: Float[Tensor, "n d"], codebook: Float[Tensor, "k d"]) -> Int[Tensor, " n"]:
    """argmin_k |row - code|^2, ``n d -> n`` (int64), the first code on ties.

    |row|^2 is the same for all codes, so that |code|^2 / 2 - row . code has the same argmin: one fused product.
    """
    offset = codebook.square().sum(-1) / 2  # k
    chunk = CHUNK.get(rows.device.type, CHUNK_ELSEWHERE)
    step = max(1, chunk // len(codebook))
    codes = torch.empty(len(rows), dtype=torch.int64, device=rows.device)
    scores = rows.new_empty(min(step, len(rows)), len(codebook))
    for part, out in zip(rows.split(step), codes.split(step), strict=True):
        torch.addmm(offset, part, codebook.T, alpha=-1, out=scores[: len(part)])
        torch.argmin(scores[: len(part)], -1, out=out)
    return codes
