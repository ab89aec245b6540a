"""Rows of the captions of scenes: some of those of the enciphered strings, with smaller learning rates."""

from __future__ import annotations

from dataclasses import replace

from gumbelzoo.benchmarks.attention import rows

CONFIG = "attention_scenes"
STEPS, TUNING_STEPS = 1000, 500  # after 300, ``marginal`` is at 1.08 nats with every rate
LEARNING_RATES = (3e-3, 6e-3, 1.2e-2)
# The most wanted first.
NAMES = (
    "marginal",
    "soft",
    "vimco_4",
    "reinforce_leave_one_out",
    "uniform",
    "gumbel_softmax",
    "straight_through_gumbel_softmax",
)
ROWS = {name: replace(rows.ROWS[name], rates=LEARNING_RATES) for name in NAMES}
