"""Choices without repetition: the mask of what earlier steps have taken, relaxed or not. Axes: ``k`` categories."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .checks import check_indices, check_logits
from .surrogate import upcast


def exclude_taken(logits: Tensor, *taken: Tensor) -> Tensor:
    """Lower logits by what earlier choices have taken: logits + sum_s log(1 - z_s), ``... k``.

    A category that a one-hot z_s has taken is masked, and gets no gradient; so it is never drawn again. A relaxed
    choice masks in part, each for itself, and the result is finite wherever no z_s is 1: two of .9 leave a hundredth.

    Args:
        logits: ``... k``.
        taken: earlier choices of the same categories: points of the simplex that broadcast to ``... k``, or codes that
            broadcast to ``...``.

    Raises:
        ValueError: a choice among another number of categories, codes that are boolean or outside of [0, k) (checked on
            the CPU).

    Example:
        >>> from gumbelzoo.models.relaxed import RelaxedCategorical
        >>> layer, scores, slate = RelaxedCategorical("reinmax"), torch.randn(32, 10), []
        >>> for _ in range(3):
        ...     slate.append(layer(exclude_taken(scores, *slate)))  # b k
        >>> assert (sum(slate) <= 1).all()  # no item twice
    """
    k = check_logits(logits).shape[-1]
    lowered = upcast(logits)
    for z in taken:
        if not z.is_floating_point():
            gone = torch.arange(k, device=z.device) == check_indices(z, k)[..., None]
            lowered = lowered.masked_fill(gone, -math.inf)
            continue
        if not z.ndim or z.shape[-1] != k:
            raise ValueError(f"a choice taken must be among the {k} categories of the logits, got {tuple(z.shape)}")
        gone = z >= 1
        left = torch.log1p(-torch.where(gone, 0.0, z.to(lowered.dtype)))  # log1p(-1) has an infinite gradient
        lowered = torch.where(gone, -math.inf, lowered + left)
    return lowered.to(logits.dtype)
