"""Checks of rows that k items are drawn from. Axes: ``n`` items."""

from __future__ import annotations

from torch import Tensor

from ....ranges import is_whole
from ..checks import check_codes, check_finite, check_logits, readable


def check_k(k: int) -> int:
    """Return k; ValueError unless it is a whole number >= 1."""
    if not is_whole(k) or k < 1:
        raise ValueError(f"k must be a whole number >= 1, got {k}")
    return k


def check_items(logits: Tensor, k: int) -> None:
    """Check that rows ``... n`` allow a draw of k items; values are read where that is cheap.

    Raises:
        ValueError: k > n, a row with fewer than k allowed items, or with a NaN or +inf.
    """
    n = check_logits(logits).shape[-1]
    if k > n:
        raise ValueError(f"cannot draw k={k} of {n} items; give a smaller k or more logits")
    if not readable(logits) or not logits.numel():
        return
    check_finite(logits.detach().amax(-1), logits)
    allowed = int((~logits.isneginf()).sum(-1).min())
    if allowed < k:
        raise ValueError(f"a row allows {allowed} items and k={k} are drawn; allow at least {k} items in every row")


def check_draw(z: Tensor, logits: Tensor, k: int) -> None:
    """Check k-hot draws ``... n``; values are read where that is cheap.

    Raises:
        ValueError: another number of items, or rows that are not k-hot.
    """
    if not z.ndim or z.shape[-1] != logits.shape[-1]:
        raise ValueError(
            f"a draw must be k-hot over the {logits.shape[-1]} items of the logits, got shape {tuple(z.shape)}"
        )
    if readable(z) and not bool((((z == 0) | (z == 1)).all(-1) & (z.sum(-1) == k)).all()):
        raise ValueError(f"a draw must be k-hot with k={k}: {k} ones and zeros; a relaxed one has no log-probability")


def check_order(codes: Tensor, n: int, k: int) -> Tensor:
    """Return ordered draws ``... k`` as int64; values are read where that is cheap.

    Raises:
        ValueError: codes that are not whole numbers, another number of them, or outside [0, n).
    """
    if codes.is_floating_point():
        raise ValueError(
            "log_prob of a Plackett-Luce law is of ordered draws: give codes (..., k), such as those of "
            "plackett_luce.sample"
        )
    codes = check_codes(codes)
    if not codes.ndim or codes.shape[-1] != k:
        raise ValueError(f"an ordered draw must have k={k} codes, got shape {tuple(codes.shape)}")
    if readable(codes) and bool(((codes < 0) | (codes >= n)).any()):
        raise ValueError(f"codes must be in [0, {n}), got {codes.min()} to {codes.max()}")
    return codes
