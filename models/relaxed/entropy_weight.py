"""Reward of a choice's entropy that fades while a policy learns."""

from __future__ import annotations


def decayed_entropy_weight(initial: float, step: int, total: float | int) -> float:
    """Return a weight that falls linearly from ``initial`` at step 0 to 0 at step ``total``, and stays 0.

    In a run without an end, ``total`` infinite, it does not fall.
    """
    return initial * max(0.0, 1 - step / max(total, 1))
