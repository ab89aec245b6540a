"""Molecules of an asked-for logP: when the goal is said to be reached."""

from __future__ import annotations

from gumbelzoo.benchmarks.text.conditional import goal


def test_goal_needs_accuracy_and_validity() -> None:
    """Both at one temperature; how many molecules differ there is told."""
    low, high = [0.8, 0.9, *[0.0] * 4, 0.99, 0.0], [0.95, 0.86, *[0.0] * 4, 0.7, 0.0]
    assert "**not reached** at any" in goal({1.0: low, 0.5: [0.95, 0.8, *high[2:]]})
    text = goal({1.0: low, 0.5: high})
    assert "0.90 at 0.80 valid. Of 2 temperatures the goal is reached at 0.5, where 70% of the molecules are" in text
