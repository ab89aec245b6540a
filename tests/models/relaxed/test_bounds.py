"""Importance-weighted bound: the formula, and chunks of bounded memory."""

from __future__ import annotations

import math

import pytest
import torch
from gumbelzoo.models.relaxed import bounds
from gumbelzoo.models.relaxed.bounds import importance_weighted_bound
from torch import Tensor


@pytest.mark.parametrize("rows", [1, 7, 20, 2000])
def test_bound_of_enumerated_weights(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each example gets m weights, in chunks of at most ``rows``, in the order of examples, then of samples."""
    monkeypatch.setattr(bounds, "BOUND_ROWS", rows)
    m, table = 20, torch.randn(30, 20)
    seen = dict.fromkeys(range(30), 0)

    def log_weights(index: Tensor, offset: Tensor, s: int) -> Tensor:
        assert s * len(index) <= max(rows, s) and s <= rows
        start = seen[int(index[0])]
        seen.update((int(i), start + s) for i in index)
        return table[index, start : start + s].T + offset

    offset = torch.randn(30)
    bound = importance_weighted_bound(log_weights, m, torch.arange(30), offset)
    assert set(seen.values()) == {m}
    torch.testing.assert_close(bound, math.log(m) - table.logsumexp(1) - offset)


def test_bound_without_samples_raises() -> None:
    with pytest.raises(ValueError, match="samples must be >= 1, got 0"):
        importance_weighted_bound(lambda x, s: x.expand(s, -1), 0, torch.zeros(3))
