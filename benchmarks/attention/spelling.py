"""Spelling to sound with soft and hard attention: the CMU Pronouncing Dictionary without stress.

    python benchmarks/attention/spelling.py --out runs/spelling           # hours; the same command resumes
    python benchmarks/attention/spelling.py --out runs/spelling --only soft marginal   # some rows
    python benchmarks/attention/spelling.py --out runs/spelling --page    # write what is finished

The configuration is ``attention_cmudict`` (extra ``pairs``). After each run the record,
``spelling.json``, and from it the page and the picture are written. To replace a recorded run, remove it from the
record. The exit status is 1 if a run failed.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from gumbelzoo.benchmarks.attention.spelling_report import draw, page
from gumbelzoo.benchmarks.attention.spelling_rows import CONFIG, LEARNING_RATE, ROWS, SEEDS, STEPS, options
from gumbelzoo.benchmarks.common import search
from gumbelzoo.benchmarks.common.runs import row_folder
from gumbelzoo.benchmarks.common.table import Record, add_run, read_record, run_command, seeds_of_rows, write_record

RECORD = Path(__file__).with_suffix(".json")


def run_job(out: Path, record: Record, name: str, seed: int) -> bool:
    """Finish one run; True if the record did not have it."""
    if str(seed) in record.get(name, {}).get("runs", {}):
        return False
    print(f"{name}: seed {seed}", flush=True)
    run = search.train(row_folder(out, name) / f"seed{seed}", CONFIG, options(name, seed), STEPS, test=True)
    add_run(record, name, str(seed), {"learning_rate": LEARNING_RATE, "search_minutes": 0.0}, run)
    return True


def write(record: Record) -> None:
    """Write record, page and picture."""
    write_record(RECORD, record, ROWS, page, draw)


def main() -> None:
    """Run the command line."""
    jobs = partial(seeds_of_rows, seeds=SEEDS)
    run_command(str(__doc__), "runs/spelling", list(ROWS), jobs, (run_job,), read_record(RECORD), write)


if __name__ == "__main__":
    main()
