"""Leaderboard: every gradient estimator on one categorical VAE, with as many steps.

    python benchmarks/leaderboard/leaderboard.py run --out runs/leaderboard   # hours; the same command resumes
    python benchmarks/leaderboard/leaderboard.py run --only rebar reinmax --workers 2   # some rows, two processes
    python benchmarks/leaderboard/leaderboard.py table --out runs/leaderboard   # record, page, picture, README

The configuration is ``catvae_mnist``: static MNIST, 20 latents of 10 categories, 25,000 steps of 100 images. Each row's
temperature, then its learning rate, is selected by the validation ELBO after ``TUNING_STEPS`` steps (seed 0) from the
grids in ``rows.py``. The final runs have seeds 0, 1 and 2. They report the test bound (m = 1000, discrete latents) of
the checkpoint with the best validation ELBO. Rows with several samples in the objective are a second table. They have
``SEVERAL_STEPS`` steps and nothing to select, since every step decodes an image up to 50 times.

Runs are ordinary run folders, ``<out>/<row>/<what>/``. Finished runs are kept, interrupted ones are resumed. ``table``
adds the finished ones to the record, ``leaderboard.json``, and makes page and picture from the record. It can
hold runs of several machines and runs whose folders are gone. To replace a recorded run, remove it from the record.
"""

from __future__ import annotations

import argparse
import csv
import json
import multiprocessing
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from gumbelzoo.benchmarks.common.pages import write_page, write_table
from gumbelzoo.benchmarks.common.runs import environment, finish
from gumbelzoo.benchmarks.common.table import not_run
from gumbelzoo.benchmarks.leaderboard.costs import measure_costs
from gumbelzoo.benchmarks.leaderboard.picture import draw
from gumbelzoo.benchmarks.leaderboard.rows import (
    LEARNING_RATES,
    ROWS,
    SEEDS,
    SEVERAL_STEPS,
    STEPS,
    TEMPERATURES,
    TUNING_STEPS,
)
from gumbelzoo.benchmarks.leaderboard.table import COLUMNS, OTHERS, README_COLUMNS, Record, collect, table

RECORD, REFERENCE = Path(__file__).with_suffix(".json"), "catvae-mnist"
README, README_ROWS = "README.md", 5
HEAD = f"""\
MNIST with static binarization; 20 latents of 10 categories; networks 784-512-256-200 and 200-256-512-784; {STEPS:,}
steps of 100 images; AdamW with 500 warm-up steps and a cosine schedule, for every row.

- `bound`: bound on the negative log-likelihood in nats, on the whole test set, with discrete latents and m = 1000; mean
  and standard error over seeds; lower is better. `ELBO`: the negative ELBO, likewise.
- `temperature` is selected from {TEMPERATURES}, then `learning rate` from {LEARNING_RATES}, by the validation ELBO
  after {TUNING_STEPS:,} steps with seed 0, which is one of those reported. So a row with a temperature has a larger
  search than one without.
- `step`: time of a training step relative to `gumbel_softmax` (one thread, medians of interleaved measurements). Rows
  have as many steps, so those with more evaluations of the cost have more time. That of `arsm` is of an earlier
  implementation.
- `log-variance`: natural logarithm of the variance of the loss's gradient with respect to a logit of q(z | x), at the
  weights of `{REFERENCE}`, which is seed 0 of `gumbel_softmax`.
- `published`: Jang et al. 2017, table 1, the same protocol with another network and optimizer (DARN: 128.8).

`python benchmarks/leaderboard/leaderboard.py run` trains every row.
`python benchmarks/leaderboard/leaderboard.py table` writes this page from the record, `leaderboard.json`."""
SEVERAL = f"""\
## Several samples in the objective

The training objective is the importance-weighted bound of m samples, the number in the row's name; with m = 1 it is the
ELBO. There are {SEVERAL_STEPS:,} steps, not {STEPS:,}. Nothing is selected: the learning rate is 0.002 and the
temperature 0.5, as in most rows above. All else is the same. `step` is relative to `gumbel_softmax` with one sample;
`log-variance` is that of the gradient of this objective."""


# -- runs -------------------------------------------------------------------------------------------------------------


def train(out: Path, name: str, what: str, options: Sequence[str], test: bool) -> Path:
    """Train (and test) one run of a row in ``<out>/<name>/<what>``, or resume it; return the run folder."""
    return finish(out / name / what, ROWS[name].config, [*ROWS[name].command_options(name), *options], test)


def validation_elbo(run: Path) -> float:
    """Return the best validation ELBO (nats) in a run's log."""
    with (run / "metrics.csv").open(newline="", encoding="utf-8") as file:
        return min(float(line["val/elbo"]) for line in csv.DictReader(file) if line.get("val/elbo"))


def tune(out: Path, name: str) -> list[str]:
    """Select the temperature, then the learning rate; return both as options."""
    row = ROWS[name]
    short = [f"--trainer.max_steps={TUNING_STEPS}", f"--trainer.val_check_interval={TUNING_STEPS}"]
    short += ["--trainer.check_val_every_n_epoch=null"]

    def options(temperature: float | None, rate: float) -> list[str]:
        tau = [] if temperature is None else [f"--model.temperature={temperature}"]
        return [*tau, f"--model.optimizer.learning_rate={rate}"]

    def score(temperature: float | None, rate: float) -> float:
        what = f"tune_lr{rate:g}" + ("" if temperature is None else f"_tau{temperature:g}")
        return validation_elbo(train(out, name, what, [*options(temperature, rate), *short], test=False))

    if not row.learning_rates:
        return []
    temperature, rate = None, row.learning_rates[0]
    if row.temperatures:
        temperature = min(row.temperatures, key=lambda tau: score(tau, rate))
    if len(row.learning_rates) > 1:
        rate = min(row.learning_rates, key=lambda other: score(temperature, other))
    return options(temperature, rate)


def job(arguments: tuple[Path, str, int | None]) -> str:
    """Tune a row (seed None), or make the final run of one seed; return its outcome as a message."""
    out, name, seed = arguments
    torch.set_num_threads(1)
    print(f"{name}: {'tuning' if seed is None else f'seed {seed}'} (progress: log.txt under {out / name})", flush=True)
    try:
        options = tune(out, name)
        if seed is None:
            return f"{name}: tuned, {' '.join(options) or 'nothing to tune'}"
        train(out, name, f"seed{seed}", [*options, f"--seed_everything={seed}"], test=True)
        return f"{name}: seed {seed} done"
    except (RuntimeError, OSError) as error:
        return f"{name}: FAILED, {error}"
    except KeyboardInterrupt:
        return f"{name}: interrupted"


def run(out: Path, names: Sequence[str], seeds: Sequence[int], workers: int) -> None:
    """Tune every row, then train it seed by seed; a failed job does not stop the others."""
    with multiprocessing.get_context("spawn").Pool(workers, maxtasksperchild=1) as pool:
        # Each part is finished before the next begins: the seeds of a row share its tuning runs.
        for part in ((None,), seeds):
            for message in pool.imap_unordered(job, [(out, name, seed) for seed in part for name in names]):
                print(message, flush=True)
        pool.close()
        pool.join()


# -- the pages --------------------------------------------------------------------------------------------------------


def finished(out: Path) -> dict[str, dict[int, Path]]:
    """Return the tested runs under ``out``, by row and seed."""
    rows: dict[str, dict[int, Path]] = {}
    for name, row in ROWS.items():
        for seed in SEEDS:
            folder = out / name / f"seed{seed}" / row.config / "1"
            if (folder / "test.json").is_file():
                rows.setdefault(name, {})[seed] = folder
    return rows


def write(out: Path) -> None:
    """Add the runs under ``out`` to the record, measure missing costs, write the page and the README's table."""
    record: Record = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.is_file() else {}
    runs = finished(out)
    for name, seeds in runs.items():
        collect(record, name, seeds)
    new = {name: next(iter(seeds.values())) for name, seeds in runs.items() if "cost" not in record[name]}
    for name, cost in (measure_costs(new, REFERENCE) if new else {}).items():
        record[name]["cost"] = cost
    record = {name: record[name] for name in ROWS if name in record}
    RECORD.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    write_page(str(RECORD), page(record))
    titles = {"one": f"one sample in the objective, {STEPS:,} steps"}
    titles["several"] = f"several samples, the number in the name; {SEVERAL_STEPS:,} steps"
    panels = {title: section(record, name) for name, title in titles.items()}
    draw({title: rows for title, rows in panels.items() if rows}, RECORD.with_suffix(".png"))
    write_table(README, "leaderboard", readme_table(record))


def section(record: Record, name: str) -> Record:
    """Return the recorded rows of one of the tables."""
    return {row: entry for row, entry in record.items() if ROWS[row].section == name}


def readme_table(record: Record) -> str:
    """Return the first rows of the first table, as in the README."""
    return table(section(record, "one"), ROWS, README_COLUMNS, README_ROWS)


def page(record: Record) -> list[str]:
    """Return the parts of ``leaderboard.md``."""
    several = section(record, "several")
    runs = [run for entry in record.values() for run in entry["seeds"].values()]
    parts = [
        "# Leaderboard: one categorical VAE, fourteen estimators",
        f"![Bounds of all rows, with standard errors]({RECORD.stem}.png)",
        HEAD,
        environment(runs),
        f"{sum('origin' in run for run in runs)} of {len(runs)} runs are older than the record. Their means and "
        "standard errors are those of an earlier version of this page, and their values per seed in the record "
        "reproduce these.",
        table(section(record, "one"), ROWS, (*COLUMNS, "published")),
        SEVERAL,
        table(several, ROWS) if several else "Not run yet.",
        "## Published\n\n" + OTHERS,
    ]
    return [*parts, *not_run(record, ROWS)]


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    runner = commands.add_parser("run", help="train and test what is not finished")
    runner.add_argument("--only", nargs="+", default=list(ROWS), choices=list(ROWS), metavar="ROW")
    runner.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS), choices=SEEDS)
    runner.add_argument("--workers", type=int, default=1, help="processes, one thread each")
    printer = commands.add_parser(
        "table", help="add finished runs to leaderboard.json; write leaderboard.md and the README's table"
    )
    for command in (runner, printer):
        command.add_argument("--out", type=Path, default=Path("runs/leaderboard"))
    options = parser.parse_args()
    sys.argv = sys.argv[:1]
    try:
        if options.command == "run":
            run(options.out.resolve(), options.only, options.seeds, options.workers)
        else:
            write(options.out.resolve())
    except KeyboardInterrupt:
        raise SystemExit("interrupted; the same command resumes") from None
    except (RuntimeError, OSError, ValueError) as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
