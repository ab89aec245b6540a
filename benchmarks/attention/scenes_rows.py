"""Rows of the captions of scenes: some of those of the enciphered strings, with the same searches."""

from __future__ import annotations

from gumbelzoo.benchmarks.attention import rows

CONFIG = "attention_scenes"
STEPS, TUNING_STEPS = 1000, 500  # after 300, ``marginal`` is at 1.08 nats with every rate
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
ROWS = {name: rows.ROWS[name] for name in NAMES}
