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
    TUNING_STEPS,
)
from gumbelzoo.benchmarks.attention.task import Task, chosen_options
from gumbelzoo.benchmarks.common.runs import row_folder
from gumbelzoo.benchmarks.common.table import Record, read_record, run_command, seeds_of_rows, write_record

RECORD = Path(__file__).with_suffix(".json")
TASK = Task(CONFIG, STEPS, TUNING_STEPS)
REFERENCE = "exact"  # whose networks the gradients are compared at


def run_job(out: Path, record: Record, name: str, seed: int) -> bool:
    """Finish one run, and its row's search before the first; True if the record did not have it."""
    return TASK.finish_seed(out, record, name, seed) is not None


def compare_gradients(out: Path, record: Record, name: str, *_: int) -> bool:
    """Add the cosines with the exact gradient, at networks along the training of the reference; True if it did."""
    if ROWS[name].section != BOUND or "cosine" in record[name] or REFERENCE not in record:
        return False
    chosen = chosen_options(ROWS[REFERENCE], record[REFERENCE]["choice"])
    networks: dict[int, Path | None] = {0: None}
    for steps in NETWORKS[1:]:
        folder = row_folder(out, REFERENCE) / (f"network{steps}" if steps != STEPS else f"seed{SEEDS[0]}")
        networks[steps] = TASK.train(folder, chosen, steps, SEEDS[0], test=steps == STEPS)
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
