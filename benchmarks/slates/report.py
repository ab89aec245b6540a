"""Page and picture of the slate benchmark, from its record."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gumbelzoo.benchmarks.common.cosines import PART_STEPS, cosine_table
from gumbelzoo.benchmarks.common.pages import markdown_table, mean_and_error
from gumbelzoo.benchmarks.common.table import Record, at_edge, budget, not_run, section_parts
from gumbelzoo.benchmarks.slates.rows import (
    BLACK,
    CONTROL,
    ENVIRONMENTS,
    LARGE,
    LARGE_ITEMS,
    LARGE_SLOTS,
    LARGE_USERS,
    LEARNING_RATES,
    NO_ENTROPY,
    ROWS,
    SEEDS,
    STEPS,
    TEMPERATURES,
    TUNING_SEED,
    TUNING_STEPS,
    WHITE,
)
from gumbelzoo.data import SlateData
from gumbelzoo.plots import BLUE, GREEN, GREY, ORANGE, VERMILION, plot

BLANKED = "past_blanked"  # the control that sees its user only
GOALS = {WHITE: 0.97, BLACK: 0.95}
TITLES = {
    **{section: f"{section.capitalize()} (goal: {goal:.2f})" for section, goal in GOALS.items()},
    NO_ENTROPY: NO_ENTROPY.capitalize(),
    CONTROL: "Controls, trained",
}
POLICY_NAMES = ("random", "independent", "independent, best order", "one for everybody", "greedy", "best")
HEAD = f"""\
An agent chooses 3 of 10 items, one after the other, and is rewarded by the purchases of its user; see
`data/slates/environment.py`. {STEPS:,} steps of 256 users, AdamW with a cosine schedule, a GRU of 64, and a reward for
entropy that falls from 0.3 to 0. The reward of entropy was chosen with REINFORCE, so four rows have none, with a search
of their own.

- `share`: part of (optimum - random) in expected purchases that the most probable slates of 1,000 test users reach.
  All 720 slates of every user are enumerated, and slates are exact: none is relaxed. Environment 0: mean and standard
  error over seeds {", ".join(map(str, SEEDS))}; then one seed in each of the environments {ENVIRONMENTS[0]} to
  {ENVIRONMENTS[-1]}, and the mean over all five environments.
- `greedy` is the policy that knows the reward and takes the best item slot after slot. A share at or below that of the
  same environment is marked †: this agent **learned nothing sequential**. One below that of `past_blanked`, an agent
  that does not see what it has shown, is marked ‡.
- `learning rate` and `temperature` are selected from {LEARNING_RATES} and {TEMPERATURES} by the validation share in
  environment 0 after {TUNING_STEPS} steps, with seed {TUNING_SEED}, which is not reported.
- `minutes` of one run on one thread, on the wall clock of a busy machine.
- Rows with a learned baseline are older than a mend of its loss, and were not run again.
- White box: the gradient of the known reward. Black box: purchases 0 or 1, drawn once for every slate; other estimators
  than REINFORCE ascend the reward that a critic predicts.
- `concrete` draws as `gumbel_softmax` does, and differs only in a KL that is not used here. `vimco` is for multi-sample
  bounds and `disarm` for two categories. `arsm` would evaluate 46^3 slates of every user.

The same command resumes: `python benchmarks/slates/slates.py`."""
COSINES = (
    "Cosine of the gradient for all weights of the policy with the exact one, for 64 users: of one draw, and of "
    "the mean of 20 draws, which is nearer to 1 for a gradient with less bias or noise. Columns are the steps of "
    "the runs of `reinforce_leave_one_out` whose last policies are compared; 0 is an untrained one. Baselines and "
    f"control variates are trained before, by {PART_STEPS} draws with the rest fixed."
)


def page(record: Record) -> list[str]:
    """Return the parts of ``slates.md``."""
    controls = control_shares(record)
    parts = ["# Slates with a known optimum", "![Shares of all rows](slates.png)", HEAD]
    if record:
        parts.append(f"{budget(record)} {at_edge(record, LEARNING_RATES)}")
    parts += ["## Policies that know the reward", policies_table(controls)]
    parts += section_parts(record, ROWS, TITLES, lambda rows: rows_table(rows, controls))
    parts += [f"## {LARGE_ITEMS:,} items, {LARGE_SLOTS} slots", large_table(record)]
    parts += ["## Gradients against `exact`", cosine_table(record, COSINES)]
    return [*parts, *not_run(record, ROWS)]


def control_shares(record: Record) -> dict[int, dict[str, float]]:
    """Return the shares of what rows are compared with, by environment; of a trained control, the mean of its seeds."""
    controls = {number: shares(SlateData(environment=number).controls()) for number in (0, *ENVIRONMENTS)}
    for number, known in controls.items():
        if blanked := _seeds_of(record.get(BLANKED, {"runs": {}}), number):
            known[BLANKED] = statistics.mean(blanked)
    return controls


def shares(rewards: Mapping[str, float]) -> dict[str, float]:
    """Return rewards as shares of (best - random)."""
    low, high = rewards["random"], rewards["best"]
    return {name: (value - low) / (high - low) for name, value in rewards.items()}


def policies_table(controls: Mapping[int, Mapping[str, float]]) -> str:
    """Return the shares of policies that need no training, a column for each environment."""
    names = {
        "best": "optimum",
        "independent": "top 3 of independent values",
        "one for everybody": "one slate for everybody",
    }
    names["independent, best order"] = "the same three in their best order"
    rows = [[names.get(name, name), *(f"{controls[number][name]:.3f}" for number in controls)] for name in POLICY_NAMES]
    return markdown_table(["policy", *(f"environment {number}" for number in controls)], rows)


def share_of(entry: Mapping[str, Any], number: int, seed: int) -> float | None:
    """Return a recorded share; None of a run that is missing."""
    run = entry["runs"].get(f"{number} {seed}")
    return None if run is None else run["metrics"]["test/share"]


def rows_table(rows: Record, controls: Mapping[int, Mapping[str, float]]) -> str:
    """Return a row's shares; missing runs are blank."""
    header = [
        "row",
        "environment 0",
        "seeds",
        *map(str, ENVIRONMENTS),
        "mean",
        "learning rate",
        "temperature",
        "minutes",
    ]
    cells = []
    for name, entry in sorted(rows.items(), key=lambda row: -statistics.mean(_seeds_of(row[1], 0) or [0.0])):
        first, choice = _seeds_of(entry, 0), entry["choice"]
        others = {number: share_of(entry, number, 0) for number in ENVIRONMENTS}
        known = [value for value in others.values() if value is not None]
        complete = first and len(known) == len(ENVIRONMENTS)
        minutes = statistics.median(run["minutes"] for key, run in entry["runs"].items() if LARGE not in key)
        cells.append(
            [
                f"`{name}`",
                f"{mean_and_error(first, 3)}{_mark(statistics.mean(first), controls[0])}" if first else "",
                str(len(first)),
                *("" if v is None else f"{v:.3f}{_mark(v, controls[number])}" for number, v in others.items()),
                f"{statistics.mean([statistics.mean(first), *known]):.3f}" if complete else "",
                f"{choice['learning_rate']:g}",
                f"{choice['temperature']:g}" if "temperature" in choice else "",
                f"{minutes:.1f}",
                ROWS[name].note,
            ]
        )
    return markdown_table([*header, "note"], cells)


def large_table(record: Record) -> str:
    """Return the shares where slates cannot be enumerated."""
    runs = {name: run for name, entry in record.items() if (run := entry["runs"].get(f"{LARGE} 0"))}
    text = (
        f"Environment 0 with {LARGE_ITEMS:,} items, steps of {LARGE_USERS} users, one seed, the choices of the tables "
        "above. Slates cannot be enumerated: the best known is the better of greedy and a beam search of width 16, "
        "which know the reward, so a share may exceed 1."
    )
    if not runs:
        return f"{text}\n\nNot run yet."
    cells = []
    for name, run in runs.items():
        share, greedy = run["metrics"]["test/share"], run["metrics"]["test/greedy_share"]
        cells.append(
            [f"`{name}`", f"{share:.3f}{_mark(share, {'greedy': greedy})}", f"{greedy:.3f}", f"{run['minutes']:.1f}"]
        )
    return f"{text}\n\n{markdown_table(['row', 'share of (best known - random)', 'greedy', 'minutes'], cells)}"


def _seeds_of(entry: Mapping[str, Any], number: int) -> list[float]:
    found = (share_of(entry, number, seed) for seed in SEEDS)
    return [value for value in found if value is not None]


def _mark(share: float, controls: Mapping[str, float]) -> str:
    if share <= controls["greedy"]:
        return " †"
    return " ‡" if share < controls.get(BLANKED, 0.0) else ""


def draw(record: Record, path: Path) -> None:
    """Draw the shares of all rows in environment 0 and in the others, between greedy and the optimum."""
    colours = {WHITE: BLUE, BLACK: VERMILION, NO_ENTROPY: ORANGE, CONTROL: GREEN}
    names = sorted(record, key=lambda name: statistics.mean(_seeds_of(record[name], 0) or [0.0]))
    greedy = shares(SlateData().controls())["greedy"]
    with plot(path, 9, 1.8 + 0.3 * len(names)) as figure:
        axes = figure.subplots()
        for height, name in enumerate(names):
            colour, entry = colours[ROWS[name].section], record[name]
            first: Sequence[float] = _seeds_of(entry, 0)
            others = [value for number in ENVIRONMENTS if (value := share_of(entry, number, 0)) is not None]
            axes.plot(first, [height] * len(first), "o", color=colour)
            axes.plot(others, [height] * len(others), "|", color=colour, markersize=9)
        for label, colour in colours.items():
            axes.plot([], [], "o", color=colour, label=f"{label}: seeds in environment 0")
        axes.plot([], [], "|", color=GREY, label="other environments")
        axes.axvline(greedy, color=GREY, linestyle="--", label="greedy in environment 0")
        axes.set_yticks(range(len(names)), names, fontsize=9)
        axes.set_xlabel("share of (optimum - random), exact slates of test users; higher is better")
        figure.legend(loc="outside lower center", ncols=2, fontsize=9)
