"""Slates with a known optimum: every estimator that applies, against policies that know the reward.

    python benchmarks/slates/slates.py --out runs/slates             # hours; the same command resumes
    python benchmarks/slates/slates.py --out runs/slates --only exact reinmax   # some rows
    python benchmarks/slates/slates.py --out runs/slates --page      # page, record and picture of what is finished

The configuration is ``slate_agent``: three of ten items. Each row's learning rate and temperature are selected by the
validation share after ``TUNING_STEPS`` steps, with a seed that is not reported. Final runs are three seeds in
environment 0, and one seed in each of four other environments.

Runs are ordinary run folders, ``<out>/<row>/<what>/``. Finished runs are kept, interrupted ones are resumed. After each
run the record, ``slates.json``, and from it the page and the picture are written; the record can hold runs of several
machines and runs whose folders are gone. To replace a recorded run, remove it from the record. The exit status is 1 if
a run failed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from gumbelzoo.benchmarks.common import search
from gumbelzoo.benchmarks.common.runs import row_folder
from gumbelzoo.benchmarks.common.table import Record, add_run, read_record, run_command, write_record
from gumbelzoo.benchmarks.slates.cosine import POLICIES, cosines
from gumbelzoo.benchmarks.slates.report import draw, page
from gumbelzoo.benchmarks.slates.rows import (
    BLACK,
    CONFIG,
    ENVIRONMENTS,
    LARGE,
    LARGE_ITEMS,
    LARGE_ROWS,
    LARGE_SLOTS,
    LARGE_USERS,
    ROWS,
    SEEDS,
    STEPS,
    TUNING_SEED,
    TUNING_STEPS,
    WHITE,
)

RECORD = Path(__file__).with_suffix(".json")
REFERENCE = "reinforce_leave_one_out"  # whose policies the gradients are compared at


def train(out: Path, name: str, what: str, steps: int, options: Sequence[str], test: bool) -> Path:
    """Train (and test) one run of a row, or resume it; return the run folder."""
    return search.train(row_folder(out, name) / what, CONFIG, [*ROWS[name].command_options(), *options], steps, test)


def choose(out: Path, name: str) -> dict[str, float]:
    """Select learning rate and temperature by the validation share; return them and the minutes of the search."""

    def tune(what: str, choice: search.Choice) -> Path:
        options = [*selected(choice), f"--seed_everything={TUNING_SEED}"]
        return train(out, name, what, TUNING_STEPS, options, test=False)

    return search.search(tune, ROWS[name].choices, "val/share", maximise=True)


def selected(choice: search.Choice) -> list[str]:
    """Return a choice as options."""
    tau = [] if choice.temperature is None else [f"--model.temperature={choice.temperature}"]
    return [*tau, f"--model.optimizer.learning_rate={choice.learning_rate}"]


def jobs(names: Sequence[str]) -> Iterator[tuple[str, int | str, int]]:
    """Rows, environments and seeds in the order of their worth: a seed of every row, then the others."""
    parts: list[list[tuple[int | str, int]]] = [
        [(0, SEEDS[0])],
        [(0, seed) for seed in SEEDS[1:]],
        [(number, 0) for number in ENVIRONMENTS],
    ]
    for part in parts:
        for name in names:
            everywhere = ROWS[name].everywhere
            yield from ((name, environment, seed) for environment, seed in part if not environment or everywhere)
    yield from ((name, LARGE, 0) for name in LARGE_ROWS if name in names)


def run_job(out: Path, record: Record, name: str, environment: int | str, seed: int) -> bool:
    """Finish one run, and its row's search before the first; True if the record did not have it."""
    entry, key = record.get(name, {}), f"{environment} {seed}"
    if key in entry.get("runs", {}):
        return False
    print(f"{name}: environment {environment}, seed {seed}", flush=True)
    choice = entry.get("choice") or choose(out, name)
    what = f"environment{environment}_seed{seed}"
    options = selected(search.Choice.read(choice))
    if environment == LARGE:
        options += [f"--data.items={LARGE_ITEMS}", f"--data.slots={LARGE_SLOTS}", f"--data.batch_size={LARGE_USERS}"]
    else:
        options.append(f"--data.environment={environment}")
    options.append(f"--seed_everything={seed}")
    add_run(record, name, key, choice, train(out, name, what, STEPS, options, test=True))
    return True


def compare_gradients(out: Path, record: Record, name: str, *_: int | str) -> bool:
    """Add the cosines with the exact gradient, at policies along the training of the reference row; True if it did."""
    if ROWS[name].section not in (WHITE, BLACK) or "cosine" in record[name] or REFERENCE not in record:
        return False
    options = selected(search.Choice.read(record[REFERENCE]["choice"]))
    policies: dict[int, Path | None] = {0: None}
    for steps in POLICIES[1:]:
        what = f"policy{steps}" if steps != STEPS else f"environment0_seed{SEEDS[0]}"
        policies[steps] = train(out, REFERENCE, what, steps, options, test=steps == STEPS)
    record[name]["cosine"] = cosines(ROWS[name], record[name]["choice"].get("temperature"), policies)
    return True


def write(record: Record) -> None:
    """Write record, page and picture."""
    write_record(RECORD, record, ROWS, page, draw)


def main() -> None:
    """Run the command line."""
    parts = (run_job, compare_gradients)
    run_command(str(__doc__), "runs/slates", list(ROWS), jobs, parts, read_record(RECORD), write)


if __name__ == "__main__":
    main()
