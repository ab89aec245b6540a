"""Page and picture of the glimpse benchmark, from its record."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from functools import partial
from math import log10
from pathlib import Path
from typing import Any

from gumbelzoo.benchmarks.common.pages import markdown_table, mean_and_error
from gumbelzoo.benchmarks.common.table import Record, at_edge, budget, not_run, section_parts
from gumbelzoo.benchmarks.glimpse.rows import (
    CNN,
    CONTROL,
    ENTROPIES,
    ENTROPY,
    LEARNING_RATES,
    LONG_STEPS,
    ROWS,
    SEEDS,
    SIX,
    STEPS,
    TEMPERATURES,
    TUNING_SEED,
    TWO,
    TWO_STEPS,
    WARP,
)
from gumbelzoo.plots import BLUE, GREEN, ORANGE, PURPLE, VERMILION, plot, spread_out

GOAL = 5.0  # % error
GAP, COLUMN = 0.045, 0.75  # of names in the picture, in powers of ten; where those of two glimpses are
SOFT_MARGIN = 0.5  # points between the best estimator and soft glimpses
TITLES = {
    SIX: f"Six glimpses (goal: {GOAL}%)",
    WARP: f"Spatial transformers (goal: {GOAL}%)",
    CNN: "Convolutions of the whole image",
    CONTROL: "Controls, trained",
    TWO: "Two glimpses, every estimator",
}
HEAD = f"""\
MNIST digits anywhere on 60 x 60 pixels, with four pieces of 8 x 8 of other digits, added and clipped. Training scenes
are drawn anew in every step, the 10,000 test scenes are fixed. {STEPS:,} steps of 100 scenes ({STEPS // 500} passes),
{TWO_STEPS:,} of two glimpses and their control, or {LONG_STEPS:,} of rows named `_long`, AdamW with a cosine schedule.

- `error`: wrong classes of the test scenes in %, mean and standard error over seeds {", ".join(map(str, SEEDS))}. Every
  place is the most probable one, nothing is relaxed, except for soft glimpses.
- `seen`: share of the digit's ink in the windows of 12 x 12 of a path, in %. A window of 24 x 24 at half the resolution
  is around each of them.
- `operations`: millions for one image, a multiplication and an addition as two, as torch counts them. `parameters`:
  thousands.
- Glimpses: a coarse view of 12 x 12 of the whole image, then windows at 9 x 9 places, in a GRU of 128. The policy
  scores each place by the state and by convolutions of the coarse view there, except in `policy_6`. The entropy of a
  learned policy is rewarded, `entropy` per nat at first and 0 at the end.
- `learning rate` and `temperature` are selected from {LEARNING_RATES} and {TEMPERATURES} by the validation loss after a
  fifth of the steps, with seed {TUNING_SEED}, which is not reported. `entropy` is selected next, from
  {ENTROPIES} after all steps, where the former had {ENTROPY}. A row named `_long` has those of the shorter one. Most
  were selected while the keys of a place were read up to 2.7 pixels from its centre, before the runs reported here.
- Best checkpoints are of 5 validations, but those of seed 0 of `reinforce_leave_one_out_6_long`, which is the release
  `glimpse-clutter`, of 24. Rows of random places were tested again when those of a test image no longer depended on
  its batch, at a later commit than they were trained at.
- A row that is not better than its control after as many steps, random places or, for a transformer, the best network
  of the whole image with at most the operations of six glimpses, is marked †.
- `exact` would evaluate 6,561 paths of every image, and `arsm` more: both are compared with the others at small sizes,
  in `tests/models/glimpse`. `concrete` differs from `gumbel_softmax` only in a KL that is not used here, `vimco` is for
  bounds of several samples and `disarm` for two categories.
- `minutes` of one run on one thread, on the wall clock of a busy machine.
- Published, with longer training: RAM 5.23% with 8 glimpses and a convolutional network 7.83% (Mnih et al. 2014).

The same command resumes: `python benchmarks/glimpse/glimpse.py`."""


def errors(entry: Mapping[str, Any]) -> list[float]:
    """Return the test errors of a row in %."""
    found = (entry["runs"].get(str(seed)) for seed in SEEDS)
    return [100 * (1 - run["metrics"]["test/accuracy"]) for run in found if run]


def page(record: Record) -> list[str]:
    """Return the parts of ``glimpse.md``."""
    parts = ["# Glimpses of cluttered digits", "![Errors and operations of all rows](glimpse.png)", HEAD]
    if record:
        parts += [f"{budget(record)} {at_edge(record, LEARNING_RATES)}", findings(record)]
    parts += section_parts(record, ROWS, TITLES, partial(rows_table, record=record))
    if "reinforce_leave_one_out_6" in record:
        parts += ["## Where it looks", "![Windows of six glimpses, from red to blue](paths.png)"]
    if "transformer_attention_soft_argmax" in record:
        parts.append("![Warped test images](warps.png)")
    return [*parts, *not_run(record, ROWS)]


def limit(record: Record) -> float:
    """Return the operations that a limited row may have: those of six hard glimpses; infinite while unknown."""
    found = [e["operations"] for name, e in record.items() if ROWS[name].section == SIX and not name.startswith("soft")]
    return float(min(found, default="inf"))


def best(record: Record, section: str, steps: int, hard: bool = False) -> tuple[str, float] | None:
    """Return the row of a section and of ``steps`` with the least mean error, within the limit; None without one."""
    found = [
        (statistics.mean(errors(entry)), name)
        for name, entry in record.items()
        if (ROWS[name].section, ROWS[name].steps) == (section, steps)
        and not (hard and name.startswith("soft"))
        and (section != CNN or (ROWS[name].limited and entry["operations"] <= limit(record)))
    ]
    if not found:
        return None
    error, name = min(found)
    return name, error


def findings(record: Record) -> str:
    """Return what the goals ask, as a list; nothing is said of rows that have not run."""
    lines = [line for steps in (STEPS, LONG_STEPS) for line in _errors_judged(record, steps)]
    for section, soft in ((SIX, "soft_6"), (TWO, "soft")):
        if soft in record and (found := best(record, section, ROWS[soft].steps, hard=True)):
            gap = found[1] - statistics.mean(errors(record[soft]))
            side = "below" if gap < 0 else "above"
            reached = "reached" if gap <= SOFT_MARGIN else "**not reached**"
            lines.append(
                f"- {section.capitalize()}: `{found[0]}` is {abs(gap):.2f} points {side} `{soft}`; the goal of at most "
                f"{SOFT_MARGIN} above is {reached}."
            )
    return "\n".join(lines) or "No goal can be judged yet."


def _errors_judged(record: Record, steps: int) -> list[str]:
    """Return whether glimpses and transformers of so many steps are below the goal and below networks of the image."""
    lines = []
    network = best(record, CNN, steps)
    for section, what in ((SIX, "six hard glimpses"), (WARP, "spatial transformer")):
        if (found := best(record, section, steps, hard=True)) is None:
            continue
        name, error = found
        reached = "reached" if error <= GOAL else "**not reached**"
        text = f"- {steps:,} steps, {what}: {error:.2f}% (`{name}`); the goal of {GOAL}% is {reached}"
        if network:
            relation = "below" if error < network[1] else "**not below**"
            text += f", and it is {relation} the best whole-image network of at most as many operations, "
            text += f"{network[1]:.2f}% (`{network[0]}`)"
        lines.append(f"{text}.")
    return lines


def rows_table(rows: Record, record: Record) -> str:
    """Return the errors of a section's rows; missing runs are blank."""
    header = [
        *("row", "error, %", "seeds", "seen, %", "operations", "parameters", "steps", "learning rate", "temperature"),
        *("entropy", "minutes", "note"),
    ]
    cells = []
    for name, entry in sorted(rows.items(), key=lambda row: statistics.mean(errors(row[1]))):
        found, choice, runs = errors(entry), entry["choice"], list(entry["runs"].values())
        seen = [100 * run["metrics"]["test/seen"] for run in runs if "test/seen" in run["metrics"]]
        cells.append(
            [
                f"`{name}`",
                f"{mean_and_error(found, 2)}{_mark(name, statistics.mean(found), record)}",
                str(len(found)),
                f"{statistics.mean(seen):.0f}" if seen else "",
                f"{entry['operations'] / 1e6:.2f}",
                f"{entry['parameters'] / 1e3:.0f}",
                f"{ROWS[name].steps:,}",
                f"{choice['learning_rate']:g}",
                *(f"{choice[option]:g}" if option in choice else "" for option in ("temperature", "entropy")),
                f"{statistics.median(run['minutes'] for run in runs):.1f}",
                ROWS[name].note,
            ]
        )
    return markdown_table(header, cells)


def _mark(name: str, error: float, record: Record) -> str:
    """Return the mark of a row that is not better than its control of as many steps."""
    row, control = ROWS[name], None
    random = {(SIX, STEPS): "random_6", (SIX, LONG_STEPS): "random_6_long", (TWO, TWO_STEPS): "random_2"}
    found = random.get((row.section, row.steps), "")
    if found in record:
        control = statistics.mean(errors(record[found]))
    elif row.section == WARP and (network := best(record, CNN, row.steps)):
        control = network[1]
    return " †" if control is not None and error >= control else ""


def draw(record: Record, path: Path) -> None:
    """Draw error against operations, one point for each row."""
    colours = {SIX: BLUE, TWO: PURPLE, WARP: ORANGE, CNN: VERMILION, CONTROL: GREEN}
    with plot(path, 9, 6) as figure:
        axes = figure.subplots()
        for section, colour in colours.items():
            rows = [(name, entry) for name, entry in record.items() if ROWS[name].section == section]
            x = [entry["operations"] / 1e6 for _, entry in rows]
            y = [statistics.mean(errors(entry)) for _, entry in rows]
            axes.plot(x, y, "o", color=colour, label=section)
            # Where most points are, names go to different sides, and those of one column into another.
            shift, side = (-5, "right") if section in (WARP, TWO) else (5, "left")
            rise = {CNN: -8, TWO: -3}.get(section, 3)
            for (name, _), a, b, height in zip(rows, x, y, spread_out([log10(b) for b in y], GAP), strict=True):
                if section == TWO:
                    axes.plot((a, COLUMN), (b, 10**height), color=colour, linewidth=0.5)
                place = (COLUMN, 10**height) if section == TWO else (a, 10**height)
                axes.annotate(name, place, textcoords="offset points", xytext=(shift, rise), ha=side, fontsize=7)
        axes.axhline(GOAL, color="0.5", linestyle="--", linewidth=1)
        if record:  # empty axes cannot be logarithmic
            axes.set_xscale("log")
            axes.set_yscale("log")
            axes.set_xticks((0.2, 0.5, 1, 2, 5, 10, 20), ("0.2", "0.5", "1", "2", "5", "10", "20"))
            axes.set_yticks((2, 3, 5, 10, 20, 40), ("2", "3", "5", "10", "20", "40"))
            axes.minorticks_off()
        axes.set_xlabel("operations of one image, millions")
        axes.set_ylabel("test error, %; lower is better")
        figure.legend(loc="outside lower center", ncols=5, fontsize=9)
