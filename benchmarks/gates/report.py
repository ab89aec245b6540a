"""Page and picture of the gate benchmark, from its record."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gumbelzoo.benchmarks.common.pages import goal_mark, markdown_table, mean_and_error
from gumbelzoo.benchmarks.common.table import Record, at_edge, budget, not_run, section_parts
from gumbelzoo.benchmarks.gates.rows import (
    CONTROL,
    DYNAMIC,
    EXACTLY,
    LEARNING_RATES,
    PENALISED,
    PENALTY,
    ROWS,
    SEEDS,
    STEPS,
    TEMPERATURES,
    TUNING_SEED,
    TUNING_STEPS,
)
from gumbelzoo.data.frequencies.textures import CHANNELS, CLASSES, PLANTED
from gumbelzoo.plots import BLUE, GREEN, GREY, ORANGE, VERMILION, plot

TITLES = {
    PENALISED: "A gate for each frequency, under a penalty",
    EXACTLY: f"Exactly {PLANTED} gates",
    DYNAMIC: "Gates from the input",
    CONTROL: "Controls",
}
HEAD = f"""\
The class of a picture is hidden in {PLANTED} of the {CHANNELS} frequencies of its 4 x 4 blocks; the others carry the
patterns of other classes and more noise (`data/frequencies/textures.py`). {STEPS} steps of 128 new pictures, AdamW with
a cosine schedule, one CNN for all rows; seeds {", ".join(map(str, SEEDS))}, each with planted frequencies of its own.

- `accuracy`: on 5,000 test pictures, with the gates of evaluation, in percent; mean and standard error over seeds.
  `best` is that of the best classifier for the open frequencies, which is known.
- `open`: open frequencies, mean over pictures. `found`: planted ones among them; `false`: others that are open; in
  percent of the {PLANTED} planted and of the {CHANNELS - PLANTED} others.
- `MFLOP`: operations of one picture in the network without the closed channels, whose outputs are the same.
- `frozen`: accuracy with gates that do not depend on the input, as many as are open on average.
- Penalty: `{PENALTY}`, the same in all rows that have one; it was set once, by hand, for `disarm`.
- `learning rate` and `temperature` are selected from {LEARNING_RATES} and {TEMPERATURES} by the validation loss after
  {TUNING_STEPS} steps on the set of frequencies {TUNING_SEED}, which is not reported.
- `minutes` of one run on one thread, on the wall clock of a busy machine.

The same command resumes: `python benchmarks/gates/gates.py`."""
HEADER = ["row", "accuracy", "seeds", "best", "open", "found", "false", "MFLOP", "frozen", "learning rate"]


def page(record: Record) -> list[str]:
    """Return the parts of ``gates.md``."""
    parts = ["# Gates on planted frequencies", "![Accuracy of all rows](gates.png)", HEAD]
    if record:
        parts.append(f"{budget(record)} {at_edge(record, LEARNING_RATES)}")
    parts += section_parts(record, ROWS, TITLES, rows_table)
    parts += ["## Goals", goals(record)]
    return [*parts, *not_run(record, ROWS)]


def values(entry: Mapping[str, Any], metric: str, factor: float = 1.0) -> list[float]:
    """Return a metric of all runs that have it, ``test/<metric>`` or what was measured after the removal."""
    runs = [{**run["metrics"], **run} for run in entry.get("runs", {}).values()]
    return [factor * run[key] for run in runs for key in (metric, f"test/{metric}") if key in run]


def rows_table(rows: Record) -> str:
    """Return a line for each row, the best first."""
    cells = []
    for name, entry in sorted(rows.items(), key=lambda row: -statistics.mean(values(row[1], "accuracy"))):
        choice = entry["choice"]
        cells.append(
            [
                f"`{name}`",
                mean_and_error(values(entry, "accuracy", 100.0), 2),
                str(len(entry["runs"])),
                _mean(values(entry, "best_accuracy", 100.0), 2),
                _mean(values(entry, "open", float(CHANNELS)), 2),
                _mean(values(entry, "found", 100.0), 1),
                _mean(values(entry, "false", 100.0), 1),
                _mean(values(entry, "flops", 1e-6), 3),
                _mean(values(entry, "frozen_accuracy", 100.0), 2),
                f"{choice['learning_rate']:g}",
                f"{choice['temperature']:g}" if "temperature" in choice else "",
                f"{statistics.median(run['minutes'] for run in entry['runs'].values()):.1f}",
                ROWS[name].note,
            ]
        )
    return markdown_table([*HEADER, "temperature", "minutes", "note"], cells)


def goals(record: Record) -> str:
    """Return each goal with what was found, for every learned row."""
    if "oracle" not in record:
        return "Not measured yet."
    oracle = record["oracle"]["runs"]
    lines = []
    for name in ("random", "zigzag", "top_variance"):
        if name in record:
            below = [
                100 * (oracle[seed]["metrics"]["test/accuracy"] - run["metrics"]["test/accuracy"])
                for seed, run in record[name]["runs"].items()
                if seed in oracle
            ]
            accuracy = statistics.mean(values(record[name], "accuracy", 100.0))
            reached = min(below) >= 10 if name == "random" else accuracy < 100 / CLASSES + 3
            wanted = "10 points or more below the oracle" if name == "random" else f"at chance ({100 / CLASSES:.0f}%)"
            lines.append(f"- `{name}` {wanted}: {accuracy:.1f}%, {min(below):.1f} points below. {goal_mark(reached)}")
    for name, entry in record.items():
        if ROWS[name].section == CONTROL:
            continue
        pairs = [
            (100 * (run["metrics"]["test/accuracy"] - oracle[seed]["metrics"]["test/accuracy"]), run["metrics"])
            for seed, run in entry["runs"].items()
            if seed in oracle
        ]
        if pairs:
            worst = min(points for points, _ in pairs)
            found = 100 * min(metrics["test/found"] for _, metrics in pairs)
            false = 100 * max(metrics["test/false"] for _, metrics in pairs)
            reached = worst >= -1 and found >= 95 and false <= 5
            lines.append(
                f"- `{name}`: found {found:.0f}% or more, false {false:.0f}% or less, {worst:+.2f} points from the "
                f"oracle or better, in {len(pairs)} of {len(SEEDS)} seeds. {goal_mark(reached)}"
            )
    text = "Goal: 95% of the planted found, at most 5% of the others open, at most one point below the oracle."
    return "\n".join([text, "", *lines])


def _mean(numbers: list[float], digits: int) -> str:
    return f"{statistics.mean(numbers):.{digits}f}" if numbers else ""


def draw(record: Record, path: Path) -> None:
    """Draw the accuracy of all rows and seeds, and their open channels."""
    colours = {PENALISED: BLUE, EXACTLY: VERMILION, DYNAMIC: ORANGE, CONTROL: GREEN}
    names = sorted(record, key=lambda name: statistics.mean(values(record[name], "accuracy")))
    with plot(path, 10, 2 + 0.28 * len(names)) as figure:
        left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
        for height, name in enumerate(names):
            colour = colours[ROWS[name].section]
            accuracy, opened = values(record[name], "accuracy", 100.0), values(record[name], "open", float(CHANNELS))
            left.plot(accuracy, [height] * len(accuracy), "o", color=colour)
            right.plot(opened, [height] * len(opened), "o", color=colour)
        for section, colour in colours.items():
            left.plot([], [], "o", color=colour, label=TITLES[section].lower())
        left.axvline(100 / CLASSES, color=GREY, linestyle=":", label="chance")
        right.axvline(PLANTED, color=GREY, linestyle="--", label="planted")
        left.set_yticks(range(len(names)), names, fontsize=9)
        left.set_xlabel("test accuracy, percent; higher is better")
        right.set_xlabel(f"open frequencies of {CHANNELS}")
        right.set_xlim(0, CHANNELS + 0.5)
        figure.legend(loc="outside lower center", ncols=3, fontsize=9)
