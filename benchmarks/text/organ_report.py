"""Page and picture of the ORGAN benchmark, from its record."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from gumbelzoo.benchmarks.common.pages import exceeds_two_errors, goal_mark, markdown_table, mean_and_error
from gumbelzoo.benchmarks.common.table import Record, budget, not_run
from gumbelzoo.benchmarks.text.organ_rows import (
    ARMS,
    BATCH,
    LONG,
    LONGEST,
    LONGEST_CONTROL,
    MAXIMUM_LIKELIHOOD,
    PRETRAINING,
    ROWS,
    SAMPLES,
    SCORED,
    SEARCHES,
    SEEDS,
    STEPS,
    STOPS,
)
from gumbelzoo.evaluation.molecules import has_rdkit, parse
from gumbelzoo.models.text.domain_rewards import DOMAIN_REWARDS
from gumbelzoo.plots import COLOURS, MARKERS, ORANGE, plot

TRIVIAL = "C" * 15
# At least this much of each, and molecules of no more atoms than the largest in the data.
GOAL = {"domain_reward": 0.60, "valid": 0.95, "closed_shell": 0.90, "unique_10k": 0.90, "internal_diversity": 0.85}
MOST_ATOMS = 9
LEVELS = (
    0.45,
    0.50,
    GOAL["domain_reward"],
)  # of logP, at which the arms are compared; the first was seen to be reached
MEMORY = 10_000  # of the configuration
COLUMNS = {
    "domain_reward": ("logP", 3),
    "domain_reward_distinct": ("of distinct valid", 3),
    "valid": ("valid", 3),
    "closed_shell": ("closed shell", 3),
    "unique_10k": ("unique@10k", 3),
    "novel": ("novel", 3),
    "internal_diversity": ("IntDiv", 3),
    "descriptor_distance": ("distance", 2),
    "heavy_atoms": ("largest", 0),
    "nll": ("NLL", 3),
}
# What the configuration is compared by, and the sense in which it is better.
SENSES = {"domain_reward": 1, "unique_10k": 1, "descriptor_distance": -1, "nll": -1}
NOTES = {
    "best_of_n": f"control: the best {SAMPLES:,} of {SCORED:,} samples of the start",
    "hill_climbing": "control: maximum likelihood of the best tenth of its own samples, ten rounds",
}
HEAD = f"""\
An LSTM learns the SMILES of 4,042 molecules of QM9 for {PRETRAINING:,} steps of maximum likelihood, then a reward for
{STEPS:,} steps of {BATCH} molecules: `weight` times a discriminator's score and (1 - weight) times logP, scaled to
[0, 1] as ORGAN does, and 0 for radicals, ions, and molecules of more than {MOST_ATOMS} heavy atoms, the most in the
data. A molecule that is in its batch, or among the last {MEMORY:,}, more than once has no logP, where nothing else is
said. The learning rate is a constant 0.0003. `{LONGEST}` is the configuration `organ_qm9`, of {LONG:,} steps, whose
rates fall, also those of maximum likelihood; its weight, steps and rate were chosen in trials with seed 0, and
`{LONGEST_CONTROL}` has the same. Nothing else was searched.
{SAMPLES:,} samples of each; mean and standard error over seeds.

- `logP`: the scaled reward, the mean over all samples, of which invalid ones have 0; then over different valid ones.
- `closed shell`: share of valid samples without unpaired electrons and net charge.
- `unique@10k` is of the first 10,000 valid samples, over the seeds that have so many; `novel` of different valid ones
  against all molecules of training and validation, by canonical form; `IntDiv` is 1 - the mean Tanimoto similarity of
  pairs of 1,000 samples.
- `distance`: Frechet distance of eleven descriptors to 498 held-out molecules. FCD's package was not used.
- `largest`: most heavy atoms of a sample; `NLL`: held-out, nats per token.
- Arms are compared at three levels of logP. That of 0.45 was added when the first seed had not reached the others.

Goal: {", ".join(f"{COLUMNS[name][0]} >= {least:.2f}" for name, least in GOAL.items())}, and no molecule of more than
{MOST_ATOMS} heavy atoms.
`python benchmarks/text/organ.py` writes this page, and resumes."""


def page(record: Record) -> list[str]:
    """Return the parts of ``organ.md``."""
    parts = ["# ORGAN: molecules with a higher logP", "![logP and distance from the data](organ.png)", HEAD]
    if not record:
        return [*parts, "Not run yet."]
    parts += [budget(record), trivial(), rows_table(record), "## Goal", goal(record)]
    parts += ["## At equal logP", claim(record), "## At the end of the configuration", longest(record)]
    return [*parts, *not_run(record, [*ROWS, *SEARCHES])]


def trivial() -> str:
    """Return what the trivial optimum scores."""
    if not has_rdkit():
        return ""
    score = DOMAIN_REWARDS.build("log_p")([TRIVIAL]).item()
    atoms = parse(TRIVIAL).GetNumHeavyAtoms()
    return f"The trivial optimum, `{TRIVIAL}`, has logP {score:.3f} with {atoms} heavy atoms."


def values(entry: Mapping[str, Any], steps: int, name: str) -> list[float]:
    """Return a metric of all seeds after some steps, where it is recorded."""
    runs = (entry["runs"].get(f"{seed} {steps}") for seed in SEEDS)
    return [run["metrics"][f"test/{name}"] for run in runs if run and f"test/{name}" in run["metrics"]]


def goal(record: Record) -> str:
    """Return whether a row reaches the goal by the means over its seeds, and which ones do, after how many steps."""
    reached = []
    for name in record:
        for steps in (*STOPS, LONG):
            found = {key: values(record[name], steps, key) for key in (*GOAL, "heavy_atoms")}
            if not all(found.values()):
                continue
            means = {key: statistics.mean(row) for key, row in found.items()}
            if all(means[key] >= least for key, least in GOAL.items()) and max(found["heavy_atoms"]) <= MOST_ATOMS:
                reached.append(f"`{name}` after {steps:,} steps ({_seeds(found['valid'])})")
    return f"{goal_mark(bool(reached))} {', '.join(reached)}".rstrip()


def _seeds(found: Sequence[Any]) -> str:
    return f"{len(found)} seed{'s' if len(found) > 1 else ''}"


def minutes_before(entry: Mapping[str, Any], seed: int, steps: int) -> float:
    """Return the minutes of a row's runs of a seed with fewer steps, which a longer one went on from."""
    keys = (f"{seed} {stop}" for stop in STOPS if stop < steps)
    return sum((entry["runs"][key]["minutes"] for key in keys if key in entry["runs"]), 0.0)


def rows_table(record: Record) -> str:
    """Return a row of the table for each recorded one."""
    cells = []
    for name, entry in record.items():
        steps = ROWS[name].steps if name in ROWS else 0
        runs = {seed: run for seed in SEEDS if (run := entry["runs"].get(f"{seed} {steps}"))}
        if not runs:
            continue
        found = [mean_and_error(values(entry, steps, key), digits) for key, (_, digits) in COLUMNS.items()]
        note = ROWS[name].note if name in ROWS else NOTES[name]
        minutes = [run["minutes"] + minutes_before(entry, seed, steps) for seed, run in runs.items()]
        cells.append([f"`{name}`", *found, str(len(runs)), f"{statistics.median(minutes):.1f}", note])
    header = ["row", *(title for title, _ in COLUMNS.values()), "seeds", "minutes", "note"]
    return markdown_table(header, cells)


def curve(record: Record, name: str, seed: int) -> list[tuple[float, float]]:
    """Return logP and distance of an arm over its steps, from the start on."""
    points = []
    for row, steps in ((MAXIMUM_LIKELIHOOD, 0), *((name, steps) for steps in STOPS)):
        run = record.get(row, {}).get("runs", {}).get(f"{seed} {steps}")
        if run and "test/descriptor_distance" in run["metrics"]:
            points.append((run["metrics"]["test/domain_reward"], run["metrics"]["test/descriptor_distance"]))
    return points


def distance_at(points: Sequence[tuple[float, float]], level: float) -> float | None:
    """Return the distance at a logP by interpolation of the first crossing; None of a curve that does not reach it.

    It is interpolated in its root, since it grows with the square of a shift.
    """
    for (low, before), (high, after) in itertools.pairwise(points):
        if low <= level <= high:
            return float(np.interp(level, (low, high), (before**0.5, after**0.5))) ** 2
    return None


def claim(record: Record) -> str:
    """Return a line that compares the arms at equal logP, for each level."""
    return "\n".join(f"- {_claim(record, level)}" for level in LEVELS)


def _claim(record: Record, level: float) -> str:
    found = [[distance_at(curve(record, name, seed), level) for name in ARMS] for seed in SEEDS]
    pairs = [(alone, both) for alone, both in found if alone is not None and both is not None]
    text = f"Distance from the data at logP {level:.2f}, interpolated in its root along each arm's steps"
    if not pairs:
        return f"{text}: not both arms reach it."
    gains = [alone - both for alone, both in pairs]
    cells = [mean_and_error(column, 2) for column in (*zip(*pairs, strict=True), gains)]
    said = f"{text}: {cells[0]} without a discriminator, {cells[1]} with it; difference {cells[2]}, {_seeds(pairs)}."
    if len(gains) < 2:
        return f"{said} One seed decides nothing."
    does = "keeps samples closer to the data" if exceeds_two_errors(gains) else "adds nothing"
    return f"{said} The discriminator {does}."


def longest(record: Record) -> str:
    """Return a line that compares the configuration with itself without a discriminator, seed by seed."""
    rows = [record.get(name, {}).get("runs", {}) for name in (LONGEST, LONGEST_CONTROL)]
    keys = [key for seed in SEEDS if all((key := f"{seed} {LONG}") in row for row in rows)]
    if not keys:
        return "Not both have been run."
    both, alone = ([row[key]["metrics"] for key in keys] for row in rows)
    found = []
    for name, sign in SENSES.items():
        title, digits = COLUMNS[name]
        gaps = [one[f"test/{name}"] - other[f"test/{name}"] for one, other in zip(both, alone, strict=True)]
        found.append(f"{title} {mean_and_error(gaps, digits)} ({_sense([sign * gap for gap in gaps])})")
    return f"With the discriminator minus without, the same seed: {', '.join(found)}; {_seeds(keys)}."


def _sense(gains: Sequence[float]) -> str:
    """Return whether differences, of which higher ones are better, say anything at two standard errors."""
    if len(gains) < 2:
        return "one seed decides nothing"
    return (
        "better"
        if exceeds_two_errors(gains)
        else "worse"
        if exceeds_two_errors([-gain for gain in gains])
        else "no difference"
    )


def draw(record: Record, path: Path) -> None:
    """Draw all rows on the plane of logP and distance, and the curves of the arms."""
    with plot(path, 9, 6) as figure:
        axes = figure.subplots()
        for number, (name, entry) in enumerate(record.items()):
            steps = ROWS[name].steps if name in ROWS else 0
            reward, distance = (values(entry, steps, key) for key in ("domain_reward", "descriptor_distance"))
            around, beside = divmod(number, len(COLOURS))
            style: dict[str, Any] = {"color": COLOURS[beside], "marker": MARKERS[(beside + around) % len(MARKERS)]}
            if reward and len(reward) == len(distance):
                axes.plot(reward, distance, linestyle="", label=name, **style)
            for points in (curve(record, name, seed) for seed in SEEDS if name in ARMS):
                axes.plot(*zip(*points, strict=True), color=style["color"], linewidth=1) if points else None
        axes.axvline(LEVELS[-1], color=ORANGE, linestyle="--", label=f"goal: {LEVELS[-1]:.2f}")
        axes.set_xlabel("logP, scaled to [0, 1], mean of all samples; higher is better")
        axes.set_ylabel("distance from held-out molecules; lower is closer")
        figure.legend(loc="outside lower center", ncols=3, fontsize=9)
