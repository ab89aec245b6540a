"""Figures of a text VAE on some sentences, in nats per sentence. Axes: ``i j`` sentences."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def spread(total: int, n: int) -> Tensor:
    """Return ``n`` of ``total`` rows that are spread evenly and always the same, or all if there are fewer."""
    return torch.linspace(0, total - 1, min(n, total), dtype=torch.float64).round().long()


def mutual_information(log_q: Tensor) -> Tensor:
    """Estimate I(i; z) of a random sentence i of N and z ~ q(z | x_i), a scalar in [0, log N].

    It is the mean over draws of KL(p(i | z) || uniform), p(i | z) being exact. So no draw's share is negative, unlike a
    difference of two estimates. Axes of ``log_q``: draws i, one from each sentence, and sentences j.

    Args:
        log_q: log q(z_i | x_j) of all N^2 pairs, ``i j``.
    """
    responsibility = log_q.double().softmax(-1)
    return (math.log(log_q.shape[1]) - torch.special.entr(responsibility).sum(-1)).clamp(min=0).mean()
