"""Gates on planted frequencies: estimators of Bernoulli gates, exactly-k gates, and controls at equal channels.

    python benchmarks/gates/gates.py --out runs/gates             # an hour; the same command resumes
    python benchmarks/gates/gates.py --out runs/gates --only disarm simple   # some rows
    python benchmarks/gates/gates.py --out runs/gates --page      # page, record and picture of what is finished

The configuration is ``gates_frequencies`` with fewer steps. Each row's learning rate and temperature are selected by
the validation loss after ``TUNING_STEPS`` steps, on a set of frequencies that is not reported. Final runs are three
seeds, each with planted frequencies of its own.

Runs are ordinary run folders, ``<out>/<row>/<what>/``. Finished runs are kept, interrupted ones are resumed. After each
run the record, ``gates.json``, and from it the page and the picture are written. To replace a recorded run, remove it
from the record. The exit status is 1 if a run failed.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import gumbelzoo
from gumbelzoo.benchmarks.common import search
from gumbelzoo.benchmarks.common.runs import row_folder
from gumbelzoo.benchmarks.common.table import Record, finish_seed, read_record, run_command, seeds_of_rows, write_record
from gumbelzoo.benchmarks.gates.report import draw, page
from gumbelzoo.benchmarks.gates.rows import CONFIG, ROWS, SEEDS, STEPS, TUNING_SEED, TUNING_STEPS
from gumbelzoo.data.frequencies.datamodule import FrequencyData

RECORD = Path(__file__).with_suffix(".json")


def train(out: Path, name: str, what: str, steps: int, choice: search.Choice, seed: int, test: bool) -> Path:
    """Train (and test) one run of a row, or resume it; return the run folder."""
    return search.train(row_folder(out, name) / what, CONFIG, ROWS[name].options(choice, seed), steps, test)


def run_job(out: Path, record: Record, name: str, seed: int) -> bool:
    """Finish one run, and its row's search before the first; True if the record did not have it."""
    plan = search.Plan(ROWS[name].choices, "val/loss", STEPS, TUNING_STEPS, TUNING_SEED)
    if (found := finish_seed(record, name, seed, plan, partial(train, out, name))) is None:
        return False
    record[name]["runs"][str(seed)] |= after_removal(found, seed)
    return True


def after_removal(run: Path, seed: int) -> dict[str, Any]:
    """Operations of an image without the closed channels, and the best accuracy with the open ones; of static gates."""
    model: Any = gumbelzoo.load(str(run))
    if model.selector.dynamic:
        return {}
    opened = model.open_channels(FrequencyData(number=seed).splits.valid.rows["image"][:1])[0] != 0
    return {"flops": model.flops(), "best_accuracy": FrequencyData(number=seed).best_accuracy(opened)}


def write(record: Record) -> None:
    """Write record, page and picture."""
    write_record(RECORD, record, ROWS, page, draw)


def main() -> None:
    """Run the command line."""
    jobs = partial(seeds_of_rows, seeds=SEEDS)
    run_command(str(__doc__), "runs/gates", list(ROWS), jobs, (run_job,), read_record(RECORD), write)


if __name__ == "__main__":
    main()
