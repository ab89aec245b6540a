"""Attention with known alignments: soft, exact marginal, and every estimator of the bound that applies.

    python benchmarks/attention/attention.py --out runs/attention     # an hour; the same command resumes
    python benchmarks/attention/attention.py --out runs/attention --only exact reinmax   # some rows
    python benchmarks/attention/attention.py --out runs/attention --page      # write what is finished

The configuration is ``attention_cipher`` with fewer steps. Each row's learning rate and temperature are selected by the
validation NLL after ``TUNING_STEPS`` steps, and then the reward of entropy of a bound after ``STEPS``, with a seed that
is not reported. Final runs are three seeds.

Runs are ordinary run folders, ``<out>/<row>/<what>/``. Finished runs are kept, interrupted ones are resumed. After each
run the record, ``attention.json``, and from it the page and the picture are written. To replace a recorded run, remove
it from the record. The exit status is 1 if a run failed.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from gumbelzoo.benchmarks.attention.cosine import NETWORKS, cosines
from gumbelzoo.benchmarks.attention.report import draw, page
from gumbelzoo.benchmarks.attention.rows import (
    BOUND,
    CONFIG,
    ROWS,
    SEEDS,
    STEPS,
    TUNING_SEED,
    TUNING_STEPS,
)
from gumbelzoo.benchmarks.common import search
from gumbelzoo.benchmarks.common.runs import row_folder
from gumbelzoo.benchmarks.common.table import Record, finish_seed, read_record, run_command, seeds_of_rows, write_record

RECORD = Path(__file__).with_suffix(".json")
REFERENCE = "exact"  # whose networks the gradients are compared at


def train(out: Path, name: str, what: str, steps: int, choice: search.Choice, seed: int, test: bool) -> Path:
    """Train (and test) one run of a row, or resume it; return the run folder."""
    options = [*ROWS[name].options(*choice), f"--seed_everything={seed}"]
    return search.train(row_folder(out, name) / what, CONFIG, options, steps, test)


def run_job(out: Path, record: Record, name: str, seed: int) -> bool:
    """Finish one run, and its row's search before the first; True if the record did not have it."""
    row = ROWS[name]
    plan = search.Plan(row.choices, "val/nll", STEPS, TUNING_STEPS, TUNING_SEED, row.entropies)
    return finish_seed(record, name, seed, plan, partial(train, out, name)) is not None


def compare_gradients(out: Path, record: Record, name: str, *_: int) -> bool:
    """Add the cosines with the exact gradient, at networks along the training of the reference; True if it did."""
    if ROWS[name].section != BOUND or "cosine" in record[name] or REFERENCE not in record:
        return False
    chosen = search.Choice.read(record[REFERENCE]["choice"])
    networks: dict[int, Path | None] = {0: None}
    for steps in NETWORKS[1:]:
        what = f"network{steps}" if steps != STEPS else f"seed{SEEDS[0]}"
        networks[steps] = train(out, REFERENCE, what, steps, chosen, SEEDS[0], test=steps == STEPS)
    record[name]["cosine"] = cosines(ROWS[name], record[name]["choice"].get("temperature"), networks)
    return True


def write(record: Record) -> None:
    """Write record, page and picture."""
    write_record(RECORD, record, ROWS, page, draw)


def main() -> None:
    """Run the command line."""
    jobs = partial(seeds_of_rows, seeds=SEEDS)
    parts = (run_job, compare_gradients)
    run_command(str(__doc__), "runs/attention", list(ROWS), jobs, parts, read_record(RECORD), write)


if __name__ == "__main__":
    main()
