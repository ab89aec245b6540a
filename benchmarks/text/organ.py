"""ORGAN on small molecules: does the discriminator keep samples near the data while logP rises?

    python benchmarks/text/organ.py --out runs/organ      # hours; the same command resumes
    python benchmarks/text/organ.py --out runs/organ --only weight_0 weight_0.2
    python benchmarks/text/organ.py --out runs/organ --page

The configuration is ``organ_qm9`` (extra ``chem``). All rows but the long ones have the same learning rate, which does
not fall, and as many scored molecules, and had no search. For a seed they have the same maximum-likelihood start, up to
the last 50 of its steps: there a discriminator, if there is one, draws from the same random numbers. The two arms of
the claim are also measured after fewer steps, and compared at equal logP.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from gumbelzoo.benchmarks.common.runs import finish, fit_record, reopen, row_folder
from gumbelzoo.benchmarks.common.table import Record, add_run, read_record, run_command, write_record
from gumbelzoo.benchmarks.text.organ_report import draw, minutes_before, page
from gumbelzoo.benchmarks.text.organ_rows import (
    ARMS,
    CONFIG,
    MAXIMUM_LIKELIHOOD,
    PRETRAINING,
    ROWS,
    SEARCHES,
    SEEDS,
    STOPS,
)
from gumbelzoo.benchmarks.text.organ_searches import searched

RECORD = Path(__file__).with_suffix(".json")


def jobs(names: Sequence[str]) -> Iterator[tuple[str, int, int]]:
    """Rows, seeds and steps in the order of their worth: a seed of every row, then the others."""
    for seed in SEEDS:
        for name in names:
            steps = STOPS if name in ARMS else (0 if name in SEARCHES else ROWS[name].steps,)
            yield from ((name, seed, stop) for stop in steps)


def train(out: Path, name: str, seed: int, steps: int) -> Path:
    """Train and test one run, resume it, or go on from fewer steps; return the run folder.

    Raises:
        RuntimeError: the run has more steps, so that this one's network is gone, or a command failed.
    """
    options = [*ROWS[name].options, f"--seed_everything={seed}", f"--trainer.max_steps={PRETRAINING + steps}"]
    root = row_folder(out, name) / f"seed{seed}"
    run = root / CONFIG / "1"
    batches = fit_record(run).get("batches", PRETRAINING + steps)
    if batches > PRETRAINING + steps:
        raise RuntimeError(f"{run} has been trained further, for {batches} steps: remove it to train it again")
    if batches < PRETRAINING + steps:
        reopen(run)
    return finish(root, CONFIG, options, test=True)


def run_job(out: Path, record: Record, name: str, seed: int, steps: int) -> bool:
    """Finish one run; True if the record did not have it."""
    key = f"{seed} {steps}"
    if key in record.get(name, {}).get("runs", {}):
        return False
    print(f"{name}: seed {seed}, {steps} steps", flush=True)
    if name not in SEARCHES:
        add_run(record, name, key, {"search_minutes": 0.0}, train(out, name, seed, steps))
        run = record[name]["runs"][key]
        run["minutes"] = round(run["minutes"] - minutes_before(record[name], seed, steps), 2)  # of this part alone
        return True
    start = train(out, MAXIMUM_LIKELIHOOD, seed, 0)
    entry = record.get(name, {})
    runs = {**entry.get("runs", {}), key: searched(name, start, seed)}
    record[name] = {"choice": {"search_minutes": 0.0}, "runs": runs}
    return True


def write(record: Record) -> None:
    """Write record, page and picture."""
    write_record(RECORD, record, [*ROWS, *SEARCHES], page, draw)


def main() -> None:
    """Run the command line."""
    names = [*ROWS, *SEARCHES]
    run_command(str(__doc__), "runs/organ", names, jobs, (run_job,), read_record(RECORD), write)


if __name__ == "__main__":
    main()
