"""Page and picture of the benchmark of Professor Forcing, from its record."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gumbelzoo.benchmarks.common.pages import exceeds_two_errors, goal_mark, markdown_table, mean_and_error
from gumbelzoo.benchmarks.common.table import Record, budget, not_run
from gumbelzoo.benchmarks.text.professor_forcing_probe import LEARNED
from gumbelzoo.benchmarks.text.professor_forcing_rows import (
    DROPOUTS,
    LATE,
    ORDER,
    ROWS,
    SEEDS,
    STEPS,
    TEACHER,
    TUNING_SEED,
    WEIGHT,
)
from gumbelzoo.plots import COLOURS, GREY, MARKERS, plot

LEAST_DROP = 0.10  # of the probe's accuracy
LEAST_DISTINCT = 0.5  # of samples
COLUMNS = {  # title and decimals
    "nll": ("NLL", 4),
    "probe_accuracy": ("probe", 3),
    "late_distance": ("late distance", 3),
    "late_floor": ("its floor", 3),
    "reverse_nll": ("reverse NLL", 3),
    "distinct": ("distinct", 3),
}
HEAD = f"""\
Three lines of Shakespeare at a time, character by character, by the configuration `professor_forcing_shakespeare`: an
LSTM of 128, {STEPS:,} steps of 32 sequences. Professor Forcing adds {WEIGHT:g} times the mean of -log D of free-running
states; D is a bidirectional GRU, and the generator follows it only while its accuracy is above 0.75.

- `NLL`: held-out, nats per character with the end of the sequence. Mean and standard error over seeds
  {", ".join(map(str, SEEDS))}.
- `probe`: accuracy at each place of a fresh GRU over the states up to there, trained after the fact on {LEARNED:,}
  sequences of training and as many of a free run, and measured on those of test; 0.5 is chance. At each place both
  kinds weigh the same.
- `late distance`: total variation between the {ORDER}-grams of samples and of test text from place {LATE + 1} on. `its
  floor` is that of as much training text.
- `reverse NLL`: test text under a small model that has learned from samples. `distinct`: share of samples that differ.
- Dropout is that of {", ".join(f"{value:g}" for value in DROPOUTS)} with the lowest validation NLL of teacher forcing,
  with seed {TUNING_SEED}, which is not reported. All rows have it.
- `minutes` of one run on one thread, on the wall clock of a busy machine.

Goal: an NLL below that of `{TEACHER}` by more than two standard errors, and a probe that is less accurate by
{LEAST_DROP:.2f} or more. A generator that ends at once is the trivial optimum for the probe: its only state is that of
every sequence. So the latter counts only where {LEAST_DISTINCT:.0%} of the samples differ.
`python benchmarks/text/professor_forcing.py` writes this page, and resumes."""


def page(record: Record) -> list[str]:
    """Return the parts of ``professor_forcing.md``."""
    picture = "![Accuracy of a probe of states by place](professor_forcing.png)"
    parts = ["# Professor Forcing", picture, HEAD]
    if not record:
        return [*parts, "Not run yet."]
    parts += [budget(record), rows_table(record), "## Goals", goals(record)]
    return [*parts, *not_run(record, ROWS)]


def values(entry: Mapping[str, Any], metric: str) -> dict[str, float]:
    """Return a metric of a row's runs by seed, where it is recorded."""
    runs = entry.get("runs", {}).items()
    return {seed: run["metrics"][f"test/{metric}"] for seed, run in runs if f"test/{metric}" in run["metrics"]}


def rows_table(record: Record) -> str:
    """Return a row of the table for each recorded one."""
    cells = []
    for name, entry in record.items():
        found = [mean_and_error(list(values(entry, key).values()), digits) for key, (_, digits) in COLUMNS.items()]
        minutes = statistics.median(run["minutes"] for run in entry["runs"].values())
        note = f"control: {ROWS[name].note}" if ROWS[name].control else ROWS[name].note
        dropout = f"{entry['choice']['dropout']:g}"
        cells.append([f"`{name}`", *found, dropout, str(len(entry["runs"])), f"{minutes:.0f}", note])
    titles = [title for title, _ in COLUMNS.values()]
    return markdown_table(["row", *titles, "dropout", "seeds", "minutes", "note"], cells)


def goals(record: Record) -> str:
    """Return each goal with what was found, for every row that is no control."""
    rows = [name for name in record if not ROWS[name].control]
    if TEACHER not in record or not rows:
        return "Not measured yet."
    lines = []
    for name in rows:
        gains = {
            metric: [
                taught - own
                for seed, own in values(record[name], metric).items()
                if (taught := values(record[TEACHER], metric).get(seed)) is not None
            ]
            for metric in ("nll", "probe_accuracy")
        }
        if not all(gains.values()):
            continue
        nll, drop = (mean_and_error(gain, digits) for gain, digits in zip(gains.values(), (4, 3), strict=True))
        differ = all(share >= LEAST_DISTINCT for share in values(record[name], "distinct").values())
        lower = statistics.mean(gains["probe_accuracy"]) >= LEAST_DROP and differ
        lines.append(
            f"- `{name}`: NLL lower by {nll}. {above_zero(gains['nll'])} Probe less accurate by {drop}. "
            f"{goal_mark(lower)}"
        )
    return "\n".join(lines) or "Not measured yet."


def above_zero(gains: Sequence[float]) -> str:
    """Return whether paired differences are above 0 by more than two standard errors."""
    if len(gains) < 2:
        return "One seed decides nothing."
    return goal_mark(exceeds_two_errors(gains))


def draw(record: Record, path: Path) -> None:
    """Draw the probe's accuracy by place, the mean over seeds of each row."""
    with plot(path, 9, 5) as figure:
        axes = figure.subplots()
        for number, (name, entry) in enumerate(record.items()):
            curves = [run["probe"] for run in entry["runs"].values()]
            places = range(min(map(len, curves)))
            mean = [statistics.mean(curve[place] for curve in curves) for place in places]
            line = axes.plot([place + 1 for place in places], mean, markevery=8, label=name)[0]
            line.set_color(COLOURS[number % len(COLOURS)])
            line.set_marker(MARKERS[number % len(MARKERS)])
            line.set_linestyle("--" if ROWS[name].control else "-")
        axes.axhline(0.5, color=GREY, linestyle=":", label="chance")
        axes.set_xlabel("place in the sequence")
        axes.set_ylabel("accuracy of a fresh probe; lower is better")
        figure.legend(loc="outside lower center", ncols=4, fontsize=9)
