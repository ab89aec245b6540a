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

import argparse
import csv
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from gumbelzoo.benchmarks.common.pages import write_page
from gumbelzoo.benchmarks.common.runs import finish, fit_record, row_folder, test_metrics
from gumbelzoo.benchmarks.slates.cosine import POLICIES, cosines
from gumbelzoo.benchmarks.slates.report import Record, draw, page
from gumbelzoo.benchmarks.slates.rows import (
    CONFIG,
    CONTROL,
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
)

RECORD = Path(__file__).with_suffix(".json")
KEPT = ("seed", "minutes", "hardware", "versions", "commit")  # of fit.json
REFERENCE = "reinforce_leave_one_out"  # whose policies the gradients are compared at


def train(out: Path, name: str, what: str, steps: int, options: Sequence[str], test: bool) -> Path:
    """Train (and test) one run of a row, or resume it; return the run folder."""
    short = [f"--trainer.max_steps={steps}", f"--trainer.val_check_interval={max(1, steps // 5)}"]
    short.append("--trainer.check_val_every_n_epoch=null")
    given = [*ROWS[name].command_options(), *options, *short]
    return finish(row_folder(out, name) / what, CONFIG, given, test)


def validation_share(run: Path) -> float:
    """Return the best validation share in a run's log."""
    with (run / "metrics.csv").open(newline="", encoding="utf-8") as file:
        return max(float(line["val/share"]) for line in csv.DictReader(file) if line.get("val/share"))


def choose(out: Path, name: str) -> dict[str, float]:
    """Select learning rate and temperature by the validation share; return them and the minutes of the search."""
    scores, minutes = {}, 0.0
    for rate, temperature in ROWS[name].choices:
        what = f"tune_lr{rate:g}" + ("" if temperature is None else f"_tau{temperature:g}")
        options = [*selected(rate, temperature), f"--seed_everything={TUNING_SEED}"]
        run = train(out, name, what, TUNING_STEPS, options, test=False)
        scores[rate, temperature] = validation_share(run)
        minutes += fit_record(run).get("minutes", 0.0)
    rate, temperature = max(scores, key=lambda choice: scores[choice])
    chosen = {"learning_rate": rate, "search_minutes": round(minutes, 2)}
    return chosen if temperature is None else {**chosen, "temperature": temperature}


def selected(rate: float, temperature: float | None) -> list[str]:
    """Return a choice as options."""
    tau = [] if temperature is None else [f"--model.temperature={temperature}"]
    return [*tau, f"--model.optimizer.learning_rate={rate}"]


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


def run_job(out: Path, record: Record, name: str, environment: int | str, seed: int) -> None:
    """Finish one run, and its row's search before the first, and put both into the record."""
    entry: dict[str, Any] = record.get(name, {})
    choice = entry.get("choice") or choose(out, name)
    what, rate = f"environment{environment}_seed{seed}", choice["learning_rate"]
    options = selected(rate, choice.get("temperature"))
    if environment == LARGE:
        options += [f"--data.items={LARGE_ITEMS}", f"--data.slots={LARGE_SLOTS}", f"--data.batch_size={LARGE_USERS}"]
    else:
        options.append(f"--data.environment={environment}")
    run = train(out, name, what, STEPS, [*options, f"--seed_everything={seed}"], test=True)
    tested = json.loads((run / "test.json").read_text(encoding="utf-8"))
    found = {"metrics": test_metrics(run), "test_minutes": tested["minutes"]}
    found |= {key: value for key, value in fit_record(run).items() if key in KEPT}
    record[name] = {"choice": choice, "runs": {**entry.get("runs", {}), f"{environment} {seed}": found}}


def compare_gradients(out: Path, record: Record, name: str) -> None:
    """Add the cosines with the exact gradient, at policies along the training of the reference row."""
    choice = record[REFERENCE]["choice"]
    policies: dict[int, Path | None] = {0: None}
    for steps in POLICIES[1:]:
        what = f"policy{steps}" if steps != STEPS else f"environment0_seed{SEEDS[0]}"
        policies[steps] = train(
            out, REFERENCE, what, steps, selected(choice["learning_rate"], None), test=steps == STEPS
        )
    record[name]["cosine"] = cosines(ROWS[name], record[name]["choice"].get("temperature"), policies)


def read() -> Record:
    """Return the record, empty at first."""
    return json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.is_file() else {}


def write(record: Record) -> None:
    """Write record, page and picture."""
    ordered = {name: record[name] for name in ROWS if name in record}
    RECORD.write_text(json.dumps(ordered, indent=1) + "\n", encoding="utf-8")
    write_page(str(RECORD), page(ordered))
    draw(ordered, RECORD.with_suffix(".png"))


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/slates"))
    parser.add_argument("--only", nargs="+", default=list(ROWS), choices=list(ROWS), metavar="ROW")
    parser.add_argument("--page", action="store_true", help="write the page of what is recorded, and train nothing")
    options = parser.parse_args()
    sys.argv = sys.argv[:1]
    torch.set_num_threads(1)
    out, record, failed = options.out.resolve(), read(), []
    if options.page:
        return write(record)
    try:
        for name, environment, seed in jobs(options.only):
            try:
                if f"{environment} {seed}" not in record.get(name, {}).get("runs", {}):
                    print(f"{name}: environment {environment}, seed {seed}", flush=True)
                    run_job(out, record, name, environment, seed)
                    write(record)
                if ROWS[name].section != CONTROL and "cosine" not in record[name] and REFERENCE in record:
                    compare_gradients(out, record, name)
                    write(record)
            except (RuntimeError, OSError) as error:
                failed.append(name)
                print(f"{name}: FAILED, {error}", file=sys.stderr, flush=True)
    except KeyboardInterrupt:
        raise SystemExit("interrupted; the same command resumes") from None
    if failed:
        raise SystemExit(f"failed: {', '.join(dict.fromkeys(failed))}")


if __name__ == "__main__":
    main()
