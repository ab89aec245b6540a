"""Nearest codes in chunks of bounded memory: neither n x k distances at once nor n x k x d differences."""

from __future__ import annotations

import math

import torch
from einops import rearrange
from torch import Tensor

from ..relaxed.shapes import Float, Int

CHUNK = {"cpu": 2**20}  # distances held at a time: 4 MiB, which stays in a cache
CHUNK_ELSEWHERE = 2**26  # 256 MiB, enough to keep a GPU busy
BLOCK = 64


@torch.no_grad()
def nearest(inputs: Float[Tensor, "n d"], codebook: Float[Tensor, "k d"]) -> Int[Tensor, " n"]:
    """Return argmin_k |input - code|^2, ``n d -> n`` (int64). On ties rounding decides: not always the first code.

    |input|^2 is the same for all codes, so |code|^2 / 2 - input . code has the same argmin: one fused product. Both are
    centred on the mean of the codebook, since far from 0 the product would round the distances away.
    """
    k, centre = len(codebook), codebook.mean(0)
    codebook = codebook - centre
    offset = codebook.square().sum(-1) / 2  # k
    if torch.jit.is_tracing() or torch.compiler.is_exporting() or torch._C._are_functorch_transforms_active():
        # Neither the number of chunks of an example nor writing in place may become part of a trace.
        return torch.addmm(offset, inputs - centre, codebook.T, alpha=-1).argmin(-1)
    step = max(1, CHUNK.get(inputs.device.type, CHUNK_ELSEWHERE) // k)
    scores = inputs.new_full((min(step, len(inputs)), -(-k // BLOCK) * BLOCK), math.inf)  # padded with codes that lose
    codes = torch.empty(len(inputs), dtype=torch.int64, device=inputs.device)
    for part, out in zip(inputs.split(step), codes.split(step), strict=True):
        chunk = scores[: len(part)]
        torch.addmm(offset, part - centre, codebook.T, alpha=-1, out=chunk[:, :k])
        out.copy_(argmin(chunk))
    return codes


def argmin(scores: Float[Tensor, "n k"]) -> Int[Tensor, " n"]:
    """Return ``scores.argmin(-1)`` for k divisible by BLOCK, several times faster: first the block, then the index."""
    blocks = rearrange(scores, "n (j i) -> n j i", i=BLOCK)
    best = blocks.amin(-1).argmin(-1, keepdim=True)  # n 1
    inside = blocks.take_along_dim(best[..., None], 1).argmin(-1)  # n 1
    return (best * BLOCK + inside).squeeze(-1)
