"""Page and picture of the sparsification benchmark, from its record."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gumbelzoo.benchmarks.common.pages import difference, goal_mark, markdown_table, mean_and_error
from gumbelzoo.benchmarks.common.table import Record, budget, not_run, section_parts
from gumbelzoo.benchmarks.gates.sparsify_rows import CONTROL, CONVOLUTIONAL, GATES, LAYERS, ROWS, SEEDS, STEPS
from gumbelzoo.plots import BLUE, GREEN, GREY, VERMILION, plot

TITLES = {
    GATES: "LeNet-300-100: a gate for each pixel and hidden unit",
    CONTROL: "LeNet-300-100: controls",
    CONVOLUTIONAL: "LeNet-5: a gate for each filter, feature and hidden unit",
}
GOAL, GOAL_UNITS = 1.8, (266, 88, 33)
DENSE = {"mlp": 266_200, "lenet5": 430_500}  # weights without biases
HEAD = f"""\
MNIST with its grey values, 50,000 training images in batches of 100, AdamW with a cosine schedule from 0.002, no
augmentation. {STEPS["mlp"]:,} steps for LeNet-300-100 (10 epochs) and {STEPS["lenet5"]:,} for LeNet-5 (3 epochs): what
fits into about five minutes of one core. Publications train for 60 to 200 epochs, so this is a comparison between rows
and no reproduction. Seeds {", ".join(map(str, SEEDS))}.

- `error`: percent of the 10,000 test images, with the gates of evaluation; mean and standard error over seeds.
- `units`: what is left after the physical removal of closed units, whose outputs are the same to 1e-6. LeNet-300-100:
  pixels, hidden units of both layers; LeNet-5: filters of both convolutions, features, hidden units. Mean over seeds.
- `weights`: share of the weights that are left, in percent. `MFLOP`: operations of one image without closed units.
- Penalty: weight 1.0 on the expected share of open gates, the same in all rows of gates but `{LAYERS}`. It was
  set once, by hand, for `hard_concrete`. Temperature 2/3 where there is one.
- `{LAYERS}`: all units of a layer together have the same price in each layer, so that those of small layers
  are closed as well. Its weight was set by hand, so that about as many units as the goal's are left.
- Learning rates were not searched for each row. Of `{LAYERS}` (the configuration `sparse_mnist`), with seed 9,
  the validation error is 1.75% from 0.002, 2.11% from 0.001, 2.06% from 0.004, and 1.74% from 0.002 with a weight decay
  of 0.1. The minutes of these trials are not counted below.
- `draw`: one draw of the gates for a batch, or one for each image. Score functions have the latter, since they learn
  from differences between images. So estimators with and without a bias differ in their draws as well.
- The commit of seed 0 of `hard_concrete`, `dense` and `magnitude` is the one before this benchmark.
- `minutes` of one run on one thread, on the wall clock of a busy machine.

Published, of longer training: dense 1.64%; sparse variational dropout 1.92% with 1 in 68 weights; hard concrete 1.4%
at 219-214-100 and 1.8% at 266-88-33 (LeNet-300-100).

The same command resumes: `python benchmarks/gates/sparsify.py`."""
HEADER = ["row", "error", "seeds", "units", "weights", "MFLOP", "draw", "minutes", "note"]


def page(record: Record) -> list[str]:
    """Return the parts of ``sparsify.md``."""
    parts = ["# Sparsification by stochastic gates", "![Error and weights of all rows](sparsify.png)", HEAD]
    if record:
        parts.append(budget(record))
    parts += section_parts(record, ROWS, TITLES, rows_table)
    parts += ["## Goal", goal(record)]
    return [*parts, *not_run(record, ROWS)]


def errors(entry: Mapping[str, Any]) -> list[float]:
    """Return the test error of all runs in percent."""
    return [100 * (1 - run["metrics"]["test/accuracy"]) for run in entry["runs"].values()]


def mean_of(entry: Mapping[str, Any], key: str) -> float:
    """Return the mean of a number that all runs have."""
    return statistics.fmean(run[key] for run in entry["runs"].values())


def share_of_weights(name: str, entry: Mapping[str, Any]) -> float:
    """Return the mean share of weights that are left, in percent."""
    return 100 * mean_of(entry, "weights") / DENSE[ROWS[name].network]


def units(entry: Mapping[str, Any]) -> str:
    """Format the mean number of units at each place."""
    places = zip(*(run["units"] for run in entry["runs"].values()), strict=True)
    return "-".join(f"{statistics.mean(place):.0f}" for place in places)


def rows_table(rows: Record) -> str:
    """Return a line for each row, the lowest error first."""
    cells = []
    for name, entry in sorted(rows.items(), key=lambda row: statistics.mean(errors(row[1]))):
        row = ROWS[name]
        learned = row.section != CONTROL and "fixed" not in row.gates
        cells.append(
            [
                f"`{name}`",
                mean_and_error(errors(entry), 2),
                str(len(entry["runs"])),
                units(entry),
                f"{share_of_weights(name, entry):.1f}",
                f"{1e-6 * mean_of(entry, 'flops'):.3f}",
                row.draw if learned else "",
                f"{statistics.median(run['minutes'] for run in entry['runs'].values()):.1f}",
                row.note,
            ]
        )
    return markdown_table(HEADER, cells)


def goal(record: Record) -> str:
    """Return the goal with what was found, and whether pruning by magnitude is better."""
    text = f"Goal: hard concrete gates have {GOAL}% error or less at {'-'.join(map(str, GOAL_UNITS))} units or fewer."
    if LAYERS not in record:
        return f"{text} Not measured yet."
    entry = record[LAYERS]
    found = statistics.mean(errors(entry))
    few = all(
        number <= most for run in entry["runs"].values() for number, most in zip(run["units"], GOAL_UNITS, strict=True)
    )
    seeds = f"{len(entry['runs'])} of {len(SEEDS)} seeds"
    lines = [f"{text} `{LAYERS}` has {found:.2f}% at {units(entry)}, {seeds}. {goal_mark(few and found <= GOAL)}"]
    others = errors(record["magnitude_layers"]) if "magnitude_layers" in record else []
    if min(len(others), len(entry["runs"])) > 1:
        above, error = difference(others, errors(entry))
        verdict = "which is better" if above < 0 else "which is worse"
        if abs(above) <= 2 * error:
            verdict = "a tie"
        lines.append(
            f"At as many units, pruning by magnitude and training again has {statistics.mean(others):.2f}%, {verdict}: "
            f"the standard error of the difference is {error:.2f} points over seeds. It is told how many units each "
            "layer may keep, and its dense start has half of the steps."
        )
    return "\n\n".join(lines)


def draw(record: Record, path: Path) -> None:
    """Draw test errors against the weights that are left."""
    colours = {GATES: BLUE, CONTROL: GREEN, CONVOLUTIONAL: VERMILION}
    with plot(path, 8, 5) as figure:
        axes = figure.subplots()
        for name, entry in record.items():
            share, error = share_of_weights(name, entry), statistics.mean(errors(entry))
            axes.plot(share, error, "o", color=colours[ROWS[name].section])
            axes.annotate(name, (share, error), xytext=(5, 3), textcoords="offset points", fontsize=8)
        for section, colour in colours.items():
            axes.plot([], [], "o", color=colour, label=TITLES[section])
        axes.axhline(GOAL, color=GREY, linestyle=":", label=f"goal of hard_concrete, {GOAL}%")
        if record:  # nothing has no logarithm
            axes.set_xscale("log")
            axes.set_yscale("log")
        axes.set_xlabel("weights that are left, percent; lower is smaller")
        axes.set_ylabel("test error, percent; lower is better")
        figure.legend(loc="outside lower center", ncols=1, fontsize=9)
