"""Page and picture of the benchmark of frequencies of Fashion-MNIST, from its record."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from gumbelzoo.benchmarks.common.pages import difference, goal_mark, markdown_table, mean_and_error
from gumbelzoo.benchmarks.common.table import Record, budget, not_run, section_parts
from gumbelzoo.benchmarks.gates.fashion_rows import (
    CHANNELS,
    CONTROL,
    LEARNED,
    ROWS,
    SEEDS,
    STEPS,
    VALIDATION,
    K,
)
from gumbelzoo.plots import BLUE, GREEN, GREY, VERMILION, plot

TITLES = {LEARNED: "Exactly k gates, learned", CONTROL: "Controls"}
NEAR = 0.5  # points below all channels
SETS = list(combinations(range(CHANNELS), K))  # in the order of the enumeration
HEAD = f"""\
{CHANNELS} frequencies of 4 x 4 blocks at 7 x 7 positions, and a CNN of {K} of them. {STEPS:,} steps of 128 images (six
epochs), AdamW with a cosine schedule from 0.004; seeds {", ".join(map(str, SEEDS))}.

- `accuracy`: of the row's own network on the 10,000 test images, in percent; mean and standard error over seeds.
- `open`: frequencies that are open, numbers 4 u + v of vertical u and horizontal v; of the first seed.
- `in one network`: accuracy of these four on {VALIDATION:,} validation images in ONE network, which was trained with
  random sets of four. `percentile`: the share of all {len(SETS):,} sets of four that have the same or less there. Means
  over seeds. No row was selected with them; the control `top_variance` takes its channels from these images, and the
  validation images of training contain them.
- `MFLOP`: operations of one image without the closed channels. `minutes`: one run on one thread of a busy machine.

The same command resumes: `python benchmarks/gates/fashion.py`."""
HEADER = ["row", "accuracy", "seeds", "k", "open", "in one network", "percentile", "MFLOP", "minutes", "note"]


def page(record: Record) -> list[str]:
    """Return the parts of ``fashion.md``."""
    parts = ["# Gates on frequencies of Fashion-MNIST", "![All sets of four, and those of the rows](fashion.png)", HEAD]
    if record:
        parts.append(budget(record))
    parts += section_parts(record, ROWS, TITLES, lambda rows: rows_table(rows, record))
    parts += ["## All sets of four in one network", enumeration(record), "## Goals", goals(record)]
    return [*parts, *not_run(record, ROWS)]


def scores(record: Record, seed: str) -> list[float]:
    """Return the accuracies of all sets in the network of a seed, in percent; empty if it was not run."""
    run = record.get("subsets", {}).get("runs", {}).get(seed, {})
    return [100 * int(number) / VALIDATION for number in run.get("correct", "").split()]


def accuracies(entry: Mapping[str, Any]) -> list[float]:
    """Return the test accuracies of all runs in percent."""
    return [100 * run["metrics"]["test/accuracy"] for run in entry["runs"].values()]


def places(entry: Mapping[str, Any], record: Record) -> list[tuple[float, float]]:
    """Return accuracy and percentile of a row's sets of four in the network of all sets, for each seed that has it."""
    found = []
    for seed, run in entry["runs"].items():
        everything = scores(record, seed)
        if everything and len(run["open"]) == K:
            own = everything[SETS.index(tuple(run["open"]))]
            found.append((own, 100 * sum(other <= own for other in everything) / len(everything)))
    return found


def rows_table(rows: Record, record: Record) -> str:
    """Return a line for each row, the best first."""
    cells = []
    for name, entry in sorted(rows.items(), key=lambda row: -statistics.mean(accuracies(row[1]))):
        runs, found = list(entry["runs"].values()), places(entry, record)
        cells.append(
            [
                f"`{name}`",
                mean_and_error(accuracies(entry), 2),
                str(len(runs)),
                f"{statistics.mean(len(run['open']) for run in runs):.0f}",
                "all" if len(runs[0]["open"]) == CHANNELS else " ".join(map(str, runs[0]["open"])),
                _mean([own for own, _ in found], 2),
                _mean([percentile for _, percentile in found], 1),
                f"{1e-6 * statistics.mean(run['flops'] for run in runs):.3f}",
                f"{statistics.median(run['minutes'] for run in runs):.1f}",
                ROWS[name].note,
            ]
        )
    return markdown_table(HEADER, cells)


def enumeration(record: Record) -> str:
    """Return what the enumeration of each seed found."""
    lines = []
    for seed in map(str, SEEDS):
        if found := scores(record, seed):
            best = SETS[max(range(len(found)), key=found.__getitem__)]
            quantiles = statistics.quantiles(found, n=20)
            lines.append(
                f"- Seed {seed}: the best set is {' '.join(map(str, best))} with {max(found):.2f}%; 95th percentile "
                f"{quantiles[-1]:.2f}, median {statistics.median(found):.2f}, mean {statistics.mean(found):.2f}, worst "
                f"{min(found):.2f}."
            )
    return "\n".join(lines) or "Not run yet."


def goals(record: Record) -> str:
    """Return each goal with what was found, for the learned gates of four."""
    learned = {name: entry for name, entry in record.items() if ROWS[name].section == LEARNED}
    if "all" not in record or not learned:
        return "Not measured yet."
    everything, lines = statistics.mean(accuracies(record["all"])), []
    for name, entry in learned.items():
        if ROWS[name].k != K:
            continue
        below = everything - statistics.mean(accuracies(entry))
        lines.append(
            f"- `{name}` within {NEAR:g} points of all channels: {below:.2f} points below. {goal_mark(below <= NEAR)}"
        )
        if found := [percentile for _, percentile in places(entry, record)]:
            lines.append(
                f"- `{name}` at or above the 95th percentile of all sets with each seed: the lowest is "
                f"{min(found):.1f}, the mean {statistics.mean(found):.1f}. {goal_mark(min(found) >= 95)}"
            )
        if "random" in record:
            lines.append(f"- `{name}` above random sets by more than two standard errors: {_above(entry, record)}")
    shares: dict[int, float] = {}  # of the best row with each k
    for name, entry in learned.items():
        shares[ROWS[name].k] = max(statistics.mean(accuracies(entry)), shares.get(ROWS[name].k, 0.0))
    near = [k for k, accuracy in sorted(shares.items()) if accuracy >= everything - NEAR]
    tried = ", ".join(map(str, sorted(shares)))
    smallest = f"{near[0]} of {CHANNELS}" if near else "none"
    lines.append(f"- The smallest k within {NEAR:g} points of all, of {tried}: {smallest}.")
    return "\n".join(lines)


def _above(entry: Mapping[str, Any], record: Record) -> str:
    own, other = accuracies(entry), accuracies(record["random"])
    if min(len(own), len(other)) < 2:
        return "one seed has no standard error."
    above, error = difference(own, other)
    return f"{above:+.2f} points, standard error {error:.2f}. {goal_mark(above > 2 * error)}"


def _mean(numbers: Sequence[float], digits: int) -> str:
    return f"{statistics.mean(numbers):.{digits}f}" if numbers else ""


def draw(record: Record, path: Path) -> None:
    """Draw the accuracies of all sets of four in one network, with those of the rows; and accuracy over k."""
    colours = {LEARNED: BLUE, CONTROL: GREEN}
    with plot(path, 10, 4.5) as figure:
        left, right = figure.subplots(1, 2, width_ratios=(3, 2))
        if found := scores(record, "0"):
            left.hist(found, bins=40, color=GREY)
            left.axvline(
                statistics.quantiles(found, n=20)[-1], color=VERMILION, linestyle="--", label="95th percentile"
            )
        height = left.get_ylim()[1]
        for number, (name, entry) in enumerate(record.items()):
            if name in ROWS and ROWS[name].section in colours:
                colour = colours[ROWS[name].section]
                for own, _ in places(entry, record)[:1]:
                    left.axvline(own, color=colour)
                    left.text(own, height * (0.95 - 0.08 * (number % 10)), name, color=colour, fontsize=8)
                accuracy = accuracies(entry)
                right.plot([ROWS[name].k] * len(accuracy), accuracy, "o", color=colour)
        left.set_xlabel(f"accuracy in one network, percent of {VALIDATION:,} validation images")
        left.set_ylabel("sets of four")
        right.set_xlabel(f"open frequencies of {CHANNELS}")
        right.set_ylabel("test accuracy, percent")
        for section, colour in colours.items():
            right.plot([], [], "o", color=colour, label=TITLES[section].lower())
        figure.legend(loc="outside lower center", ncols=3, fontsize=9)
