"""Helpers of plots."""

from __future__ import annotations

import pytest
from gumbelzoo.plots import spread_out


def test_labels_are_spread_out() -> None:
    """Numbers that are far apart stay; those that touch move as little as possible, in their order."""
    assert spread_out([], 1.0) == [] and spread_out([3.0, 1.0], 1.0) == [3.0, 1.0]
    assert spread_out([0.0, 10.0, 0.0], 1.0) == pytest.approx([-0.5, 10.0, 0.5])
    assert spread_out([0.2, 0.0, 1.0], 1.0) == pytest.approx([0.4, -0.6, 1.4])  # one mean for all three
