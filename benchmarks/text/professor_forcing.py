"""Professor Forcing against teacher forcing: held-out NLL, and whether a fresh probe can tell a free run by its states.

    python benchmarks/text/professor_forcing.py --out runs/professor_forcing     # hours; the same command resumes
    python benchmarks/text/professor_forcing.py --out runs/professor_forcing --only teacher_forcing detached
    python benchmarks/text/professor_forcing.py --out runs/professor_forcing --page    # write what is finished

The configuration is ``professor_forcing_shakespeare``. The dropout of all rows is selected by the validation NLL of
teacher forcing, with a seed that is not reported.

Runs are ordinary run folders, ``<out>/<row>/<what>/``. Finished runs are kept, interrupted ones are resumed. After each
run the record, ``professor_forcing.json``, and from it the page and the picture are written. To replace a recorded run,
remove it from the record. The exit status is 1 if a run failed.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from gumbelzoo.benchmarks.common import search
from gumbelzoo.benchmarks.common.runs import fit_record, row_folder
from gumbelzoo.benchmarks.common.table import Record, add_run, read_record, run_command, seeds_of_rows, write_record
from gumbelzoo.benchmarks.text.professor_forcing_probe import measure
from gumbelzoo.benchmarks.text.professor_forcing_report import draw, page
from gumbelzoo.benchmarks.text.professor_forcing_rows import CONFIG, DROPOUTS, ROWS, SEEDS, STEPS, TEACHER, TUNING_SEED
from gumbelzoo.commands.files.source import build_data, resolve_source

RECORD = Path(__file__).with_suffix(".json")
REVERSE_STEPS = 500  # of the model that measures the reverse NLL


def train(out: Path, name: str, what: str, dropout: float, seed: int, test: bool) -> Path:
    """Train (and test) one run of a row, or resume it; return the run folder."""
    row = ROWS[name]
    options = [
        f"--model.objective={row.objective}",
        f"--model.generator.dropout={dropout}",
        f"--model.reverse_steps={REVERSE_STEPS}",
        f"--seed_everything={seed}",
    ]
    steps = round(STEPS * row.times)
    return search.train(row_folder(out, name) / what, CONFIG, options, steps, test)


def choose_dropout(out: Path, record: Record) -> dict[str, float]:
    """Return the recorded dropout, or the best one of teacher forcing by its validation NLL, and the minutes of all."""
    for entry in record.values():
        return {**entry["choice"], "search_minutes": 0.0}
    runs = {value: train(out, TEACHER, f"dropout{value:g}", value, TUNING_SEED, test=False) for value in DROPOUTS}
    best = min(DROPOUTS, key=lambda value: search.best_validation(runs[value], "val/nll"))
    minutes = sum(fit_record(run).get("minutes", 0.0) for run in runs.values())
    return {"dropout": best, "search_minutes": round(minutes, 2)}


def run_job(out: Path, record: Record, name: str, seed: int) -> bool:
    """Finish one run with its probe, and the choice of dropout before the first; True if the record did not have it."""
    entry = record.get(name, {})
    if str(seed) in entry.get("runs", {}):
        return False
    print(f"{name}: seed {seed}", flush=True)
    choice = entry.get("choice") or choose_dropout(out, record)
    run = train(out, name, f"seed{seed}", choice["dropout"], seed, test=True)
    source = resolve_source(str(run))
    data: Any = build_data(source.data)
    data.prepare_data()
    data.setup("fit")
    found = measure(source.model, data, seed)
    add_run(record, name, str(seed), choice, run)
    recorded = record[name]["runs"][str(seed)]
    recorded["metrics"] |= found["metrics"]
    recorded["probe"] = found["probe"]
    return True


def write(record: Record) -> None:
    """Write record, page and picture."""
    write_record(RECORD, record, ROWS, page, draw)


def main() -> None:
    """Run the command line."""
    jobs = partial(seeds_of_rows, seeds=SEEDS)
    run_command(str(__doc__), "runs/professor_forcing", list(ROWS), jobs, (run_job,), read_record(RECORD), write)


if __name__ == "__main__":
    main()
