"""The page of a temperature sweep: its table, and which models have more BLEU at equal Self-BLEU, over seeds."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from gumbelzoo.benchmarks.common.measure import mean_and_error, table

Row = dict[str, Any]
VARIETY, FIGURES, REAL = "self_bleu_4", ("bleu_4", "nll_test"), "training text"
SEED = re.compile(r" --seed_everything[= ]\d+")


def sweep_table(rows: Sequence[Row]) -> str:
    """Markdown; blank where a row has no such figure."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    return table(names, [[_cell(row.get(name, "")) for name in names] for row in rows])


def origin(fit: Row) -> str:
    """What ``fit`` says of a run, in one line."""
    return f"`{fit['command']}`, seed {fit['seed']}, {fit['minutes']:g} minutes, commit {fit['commit']}"


def at_equal_variety(rows: Sequence[Row], commands: Mapping[str, str]) -> str:
    """BLEU-4 and NLL where Self-BLEU-4 is that of the training text, by command over its seeds; empty without that.

    Args:
        rows: of the sweep.
        commands: by model what trained it; models that differ in their seed only are one line.
    """
    level = next((row[VARIETY] for row in rows if row["model"] == REAL and VARIETY in row), None)
    if level is None:
        return ""
    made = {name: SEED.sub("", command) for name, command in commands.items()}
    groups: dict[str, list[list[float | None]]] = {}
    for name in dict.fromkeys(row["model"] for row in rows if "alpha" in row):
        own = [row for row in rows if row["model"] == name]
        there = [interpolated([(row[VARIETY], row[figure]) for row in own], level) for figure in FIGURES]
        groups.setdefault(made.get(name, name), []).append(there)
    cells = []
    for name, found in groups.items():
        known = [[value for value in values if value is not None] for values in zip(*found, strict=True)]
        cells.append(
            [f"`{name}`", f"{len(known[0])} of {len(found)}", *(mean_and_error(values, 4) for values in known)]
        )
    head = (
        f"Where Self-BLEU-4 is {level:.4g}, as in the training text, on the lines between the alphas; mean and "
        "standard error over seeds:"
    )
    return f"{head}\n\n{table(['made by', 'seeds there', *FIGURES], cells)}"


def interpolated(points: Sequence[tuple[float, float]], x: float) -> float | None:
    """y at x on the line through the points; None left and right of them."""
    across, up = zip(*sorted(points), strict=True)
    return float(np.interp(x, across, up)) if across[0] <= x <= across[-1] else None


def _cell(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
