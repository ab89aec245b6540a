"""Plackett-Luce: k of n items drawn one after the other without replacement, each with the softmax of those left.

Plackett 1975; Luce 1959. The k largest of logits + Gumbel noise, the largest first, are a draw (Yellott 1977; Vieira
2014, "Gumbel-max trick and weighted reservoir sampling"). The probability of a set is a sum over its k! orders, so
log-probabilities are those of ordered draws. Axes: ``n`` items, ``k`` the number that is drawn.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..noise import gumbel_noise
from ..shapes import Float, Int
from ..surrogate import upcast
from .checks import check_items, check_order
from .top_k import top_k


@torch.no_grad()
def sample(
    logits: Float[Tensor, "*b n"],
    k: int,
    *,
    noise: Float[Tensor, "*b n"] | None = None,
    generator: torch.Generator | None = None,
) -> Int[Tensor, "*b k"]:
    """Draw exact ordered samples, ``... n -> ... k`` (int64), the first choice first.

    Args:
        logits: logits of the items, ``... n``.
        k: items in a draw.
        noise: standard Gumbel noise ``... n`` to use instead of drawing it.
        generator: source of the noise.

    Raises:
        ValueError: k outside [1, n], a row that allows fewer than k items, or a NaN.
    """
    check_items(logits, k)
    return top_k(upcast(logits) + (gumbel_noise(logits, generator=generator) if noise is None else noise), k)


def log_prob(logits: Float[Tensor, "... n"], codes: Int[Tensor, "*b k"], k: int) -> Float[Tensor, "*b"]:
    """Compute log p of ordered draws in nats, ``... n`` and ``... k -> ...``; -inf for a masked or repeated item.

    Raises:
        ValueError: codes that are not whole numbers in [0, n), another number of them, and what ``sample`` refuses.
    """
    check_items(logits, k)
    codes = check_order(codes, logits.shape[-1], k)
    left = upcast(logits).expand(*codes.shape[:-1], logits.shape[-1])
    impossible = torch.zeros(codes.shape[:-1], dtype=torch.bool, device=logits.device)
    total = left.new_zeros(codes.shape[:-1])
    for code in codes.split(1, -1):  # ... 1
        impossible = impossible | left.gather(-1, code).squeeze(-1).isneginf()
        # A row that is impossible already gets a finite stand-in: its gradient would be NaN.
        finite = left.masked_fill(impossible[..., None], 0.0)
        total = total + finite.log_softmax(-1).gather(-1, code).squeeze(-1)
        left = left.scatter(-1, code, -math.inf)
    return total.masked_fill(impossible, -math.inf)
