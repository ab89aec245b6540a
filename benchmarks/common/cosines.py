"""Cosines of drawn gradients with the exact one, and their table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from gumbelzoo.benchmarks.common.pages import markdown_table
from gumbelzoo.models.relaxed import RelaxedCategorical
from torch import Tensor

PART_STEPS, PART_RATE = 300, 1e-2


def train_parts(layer: RelaxedCategorical, gradient: Callable[[], Tensor]) -> None:
    """Train an estimator's own parts, baselines and control variates, at a fixed network; nothing if it has none.

    Untrained, its gradients would be those of the first step of a training and not of any later one.

    Args:
        layer: its parts see ``PART_STEPS`` draws.
        gradient: draws once, and leaves the gradients of the parts in their ``grad``.
    """
    if not layer.estimator.state_dict():
        return
    # The group is empty for an average of costs, which is a buffer.
    optimizer = torch.optim.AdamW([{"params": list(layer.estimator.parameters())}], PART_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, PART_STEPS)
    for _ in range(PART_STEPS):
        gradient()
        optimizer.step()
        schedule.step()


def closeness(drawn: Tensor, truth: Tensor) -> dict[str, float]:
    """Compare gradients ``draws d`` with the exact one, ``d``.

    Returns:
        ``single``, the mean cosine of one draw, and ``mean``, that of the mean of all draws, which approaches 1 for an
        unbiased estimator.
    """
    single = torch.cosine_similarity(drawn, truth, dim=-1).mean()
    mean = torch.cosine_similarity(drawn.mean(0), truth, dim=-1)
    return {"single": round(float(single), 4), "mean": round(float(mean), 4)}


def cosine_table(record: Mapping[str, Mapping[str, Any]], text: str) -> str:
    """Return ``text`` and the recorded cosines, a row of the table for each row and a column for each policy."""
    rows = {name: entry["cosine"] for name, entry in record.items() if entry.get("cosine")}
    if not rows:
        return "Not measured yet."
    steps = list(next(iter(rows.values())))
    cells = [
        [f"`{name}`", *(f"{found[step]['single']:.2f} / {found[step]['mean']:.2f}" for step in steps)]
        for name, found in rows.items()
    ]
    return f"{text}\n\n{markdown_table(['row', *steps], cells)}"
