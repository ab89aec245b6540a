"""Page of a temperature sweep: its table, and the models' BLEU at equal Self-BLEU, over seeds."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from gumbelzoo.benchmarks.common.pages import markdown_table, mean_and_error

Row = dict[str, Any]
VARIETY, COMPARED, REAL = "self_bleu_4", ("bleu_4", "nll_test"), "training text"
SEED = re.compile(r" --seed_everything[= ]\d+")


def sweep_table(rows: Sequence[Row]) -> str:
    """Return a Markdown table with a column per metric; cells of missing metrics are blank."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    return markdown_table(names, [[_cell(row.get(name, "")) for name in names] for row in rows])


def origin(fit: Row) -> str:
    """Return command, seed, minutes and commit of a run's ``fit.json`` in one line."""
    return f"`{fit['command']}`, seed {fit['seed']}, {fit['minutes']:g} minutes, commit {fit['commit']}"


def at_equal_variety(rows: Sequence[Row], commands: Mapping[str, str]) -> str:
    """Compare BLEU-4 and NLL where Self-BLEU-4 is that of the training text; empty without this reference.

    Args:
        rows: of the sweep.
        commands: training command by model; models whose commands differ only in the seed share a row.
    """
    level = next((row[VARIETY] for row in rows if row["model"] == REAL and VARIETY in row), None)
    if level is None:
        return ""
    groups: dict[str, list[list[float | None]]] = {}
    for name in dict.fromkeys(row["model"] for row in rows if "alpha" in row):
        own = [row for row in rows if row["model"] == name]
        values = [interpolate([(row[VARIETY], row[metric]) for row in own], level) for metric in COMPARED]
        groups.setdefault(SEED.sub("", commands.get(name, name)), []).append(values)
    cells = []
    for name, found in groups.items():
        known = [[value for value in values if value is not None] for values in zip(*found, strict=True)]
        reached = f"{len(known[0])} of {len(found)}"
        cells.append([f"`{name}`", reached, *(mean_and_error(values, 4) for values in known)])
    head = (
        f"At a Self-BLEU-4 of {level:.4g}, that of the training text, interpolated linearly between the alphas; mean "
        "and standard error over the seeds whose sweep reaches it:"
    )
    return f"{head}\n\n{markdown_table(['command or release', 'seeds', *COMPARED], cells)}"


def interpolate(points: Sequence[tuple[float, float]], x: float) -> float | None:
    """Return y at x on the line through the points; None outside their range."""
    across, up = zip(*sorted(points), strict=True)
    return float(np.interp(x, across, up)) if across[0] <= x <= across[-1] else None


def _cell(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
