"""The importance-weighted bound on log p(x) for evaluation, in chunks of bounded memory.

Burda, Grosse & Salakhutdinov 2016 (arXiv:1509.00519), eq. 8: log p(x) >= E[log 1/m sum_i w_i] with
w_i = p(x, z_i) / q(z_i | x) and z_i ~ q(z | x). Axes: ``b`` batch, ``s`` samples drawn at once, ``m`` samples in all.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

BOUND_ROWS = 2000  # samples evaluated at once: a few MB for a small image, whatever m is


def importance_weighted_bound(log_weights: Callable[..., Tensor], m: int, *examples: Tensor) -> Tensor:
    """Compute -log 1/m sum_i w_i of each example, ``b`` nats: an upper bound on -log p(x), lower is better.

    Args:
        log_weights: ``log_weights(*chunk, s)`` draws s samples for a chunk of each tensor of ``examples`` and returns
            log w, ``s b`` nats.
        m: samples per example.
        examples: what is known of each example, such as images and posteriors; the first axis of each is ``b``.

    Raises:
        ValueError: fewer than 1 sample.

    Example:
        >>> x = torch.randn(5)  # log p(x) with p(z) = N(0, 1), p(x | z) = N(z, 1) and q = p(z)
        >>> likelihood = lambda x, s: torch.distributions.Normal(torch.randn(s, len(x)), 1.0).log_prob(x)
        >>> bound = importance_weighted_bound(likelihood, 1000, x)  # b
    """
    if m < 1:
        raise ValueError(f"samples must be >= 1, got {m}")
    rows = max(1, BOUND_ROWS // m)
    chunks = zip(*(tensor.split(rows) for tensor in examples), strict=True)
    return torch.cat([_bound(log_weights, m, *chunk) for chunk in chunks])


def _bound(log_weights: Callable[..., Tensor], m: int, *chunk: Tensor) -> Tensor:
    weights = [log_weights(*chunk, min(BOUND_ROWS, m - start)) for start in range(0, m, BOUND_ROWS)]
    return math.log(m) - torch.cat(weights).logsumexp(0)
