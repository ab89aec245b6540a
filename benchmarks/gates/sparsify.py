"""Sparsification of LeNet on MNIST by stochastic gates: hard concrete, estimators of Bernoulli gates, controls.

    python benchmarks/gates/sparsify.py --out runs/sparsify        # two hours for a seed; the same command resumes
    python benchmarks/gates/sparsify.py --only hard_concrete dense magnitude    # some rows
    python benchmarks/gates/sparsify.py --page                     # page, record and picture of what is finished

The configurations are ``sparse_mnist`` and ``sparse_vd_mnist`` with fewer steps. All rows have the same learning rate,
and all rows with a penalty have the same one. ``magnitude`` and ``random`` have as many units as ``hard_concrete`` of
their seed, so that row is needed first.

Runs are ordinary run folders, ``<out>/<row>/seed<number>/``. Finished runs are kept, interrupted ones are resumed.
After each run the record, ``sparsify.json``, and from it the page and the picture are written. To replace a recorded
run, remove it from the record. The exit status is 1 if a run failed.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import gumbelzoo
from gumbelzoo.benchmarks.common import search
from gumbelzoo.benchmarks.common.runs import row_folder
from gumbelzoo.benchmarks.common.table import Record, add_run, read_record, run_command, seeds_of_rows, write_record
from gumbelzoo.benchmarks.gates.sparsify_report import draw, page
from gumbelzoo.benchmarks.gates.sparsify_rows import ROWS, SEEDS
from torch import nn

RECORD = Path(__file__).with_suffix(".json")
CHOICE = {"learning_rate": 2e-3, "search_minutes": 0.0}  # of the configurations


def train(out: Path, record: Record, name: str, seed: int) -> Path:
    """Train and test one run of a row, or resume it; return the run folder."""
    row, gates, start = ROWS[name], "", list[str]()
    if row.chosen is not None:
        like = record.get(row.like, {}).get("runs", {})
        if str(seed) not in like:
            raise RuntimeError(f"seed {seed} of {row.like} says how many units are left; run it first")
        dense = train(out, record, "dense", seed)
        model: Any = gumbelzoo.load(str(dense))
        gates = f"{{name: fixed, open: {row.chosen(like[str(seed)]['units'], model, seed)}}}"
        start = [f"--model.init_from={dense}"] if row.retrained else []
    options = [*row.options(seed, gates), *start]
    return search.train(row_folder(out, name) / f"seed{seed}", row.config, options, row.steps, test=True)


def run_job(out: Path, record: Record, name: str, seed: int) -> bool:
    """Finish one run; True if the record did not have it."""
    if str(seed) in record.get(name, {}).get("runs", {}):
        return False
    print(f"{name}: seed {seed}", flush=True)
    run = train(out, record, name, seed)
    add_run(record, name, str(seed), CHOICE, run)
    record[name]["runs"][str(seed)] |= after_removal(gumbelzoo.load(str(run)))
    return True


def after_removal(model: Any) -> dict[str, Any]:
    """Units, operations of an image and weights other than 0 of the network without what is closed."""
    units = model.units()
    if not all(units):
        return {"units": units, "flops": 0, "weights": 0}
    layers = [layer for layer in model.removed() if isinstance(layer, nn.Conv2d | nn.Linear)]
    weights = sum(int((layer.weight != 0).sum()) for layer in layers)
    return {"units": units, "flops": model.flops(), "weights": weights}


def write(record: Record) -> None:
    """Write record, page and picture."""
    write_record(RECORD, record, ROWS, page, draw)


def main() -> None:
    """Run the command line."""
    jobs = partial(seeds_of_rows, seeds=SEEDS)
    run_command(str(__doc__), "runs/sparsify", list(ROWS), jobs, (run_job,), read_record(RECORD), write)


if __name__ == "__main__":
    main()
