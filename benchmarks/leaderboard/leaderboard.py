"""Every gradient estimator on one categorical VAE: MNIST, static, 20 latents of 10 categories, the same budget for all.

    python benchmarks/leaderboard/leaderboard.py run --out runs/leaderboard   # hours; the same command goes on
    python benchmarks/leaderboard/leaderboard.py run --only rebar reinmax --workers 2   # some rows, two processes
    python benchmarks/leaderboard/leaderboard.py table --out runs/leaderboard   # record, page, README

The configuration is ``catvae_mnist``: network, optimizer, 25,000 steps of 100 images. A row's temperature, then its
learning rate, are those of the best validation ELBO after ``TUNING_STEPS`` steps (seed 0) from the grids below. The
final runs use seeds 0, 1, 2 and report the test bound (m = 1000, discrete latents) of the checkpoint with the best
validation ELBO. The rows with several samples in the objective are a table of their own, ``SEVERAL_STEPS`` steps with
nothing to choose, since 50 decodings of every image cost what they cost. Every run is an ordinary run folder,
``<out>/<row>/<what>/``: configuration, metrics, checkpoints, fit.json, test.json. What is finished is not run again;
what was interrupted goes on. ``table`` puts what the folders hold into the record, ``leaderboard.json``, and makes the
page from that: runs of several machines, or whose folders are gone, stand in it beside each other. What is recorded
stands: to replace a run, take it out of the record.
"""

from __future__ import annotations

import argparse
import csv
import json
import multiprocessing
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from gumbelzoo.benchmarks.common.measure import write_page
from gumbelzoo.benchmarks.common.readme import write_table
from gumbelzoo.benchmarks.common.runs import environment, finish
from gumbelzoo.benchmarks.leaderboard.table import COLUMNS, OTHERS, README_COLUMNS, Record, collect, measure, table

STEPS, TUNING_STEPS, SEVERAL_STEPS = 25_000, 2_000, 5_000
SEEDS = (0, 1, 2)
LEARNING_RATES = (1e-3, 2e-3)  # the first while the temperature is chosen
TEMPERATURES = (0.5, 1.0, 1.5)
RECORD, REFERENCE = Path(__file__).with_suffix(".json"), "catvae-mnist"
HEAD = f"""\
MNIST, static binarization, 20 latents of 10 categories, 784-512-256-200-256-512-784, {STEPS:,} steps of 100 images,
AdamW with a warm-up of 500 steps and a cosine, for every row. Negative log-likelihood bounds in nats, the whole test
set, discrete latents, m = 1000; mean and standard error over seeds, lower is better. Temperature from {TEMPERATURES},
then learning rate from {LEARNING_RATES}, by the validation ELBO after {TUNING_STEPS:,} steps. `step`: time of training
steps relative to `gumbel_softmax` (one thread, medians of interleaved measurements). `log-variance`: of the loss's
gradient for a logit of q(z | x), at the weights of `{REFERENCE}`, which is seed 0 of `gumbel_softmax`.
`published`: Jang et al. 2017, table 1, the same protocol with another network and optimizer (DARN: 128.8). One command
makes all of it, another this page, of the record `leaderboard.json`:
`python benchmarks/leaderboard/leaderboard.py run`,
`python benchmarks/leaderboard/leaderboard.py table`."""
SEVERAL = f"""\
## Several samples in the objective

The importance-weighted bound of m samples (the number in the name; with one, the ELBO), all else the same but
{SEVERAL_STEPS:,} steps, not {STEPS:,}, and nothing chosen: learning rate 0.002, temperature 0.5, as most rows above.
`step` is relative to one sample of `gumbel_softmax`, `log-variance` of the gradient of this objective."""


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        estimator: its name, the row's own name if empty.
        options: ``--model`` options beside it.
        temperatures: the grid, empty for an estimator without one.
        section: which table it stands in.
        note: shown beside the figures.
        config: of the zoo.
        learning_rates: the grid, empty where the options say it.
    """

    estimator: str = ""
    options: tuple[str, ...] = ()
    temperatures: tuple[float, ...] = ()
    section: str = "one"
    note: str = ""
    config: str = "catvae_mnist"
    learning_rates: tuple[float, ...] = field(default=LEARNING_RATES)


SEVERAL_ESTIMATORS = ("gumbel_softmax", "straight_through_gumbel_softmax", "vimco")
ANNEALED = "--model.temperature={name: exponential, initial: 1.0, minimum: 0.5, rate: 1.0e-4}"


def _several(estimator: str, m: int) -> Row:
    options = [f"--model.training_samples={m}", f"--trainer.max_steps={SEVERAL_STEPS}", "--model.optimizer.learning_rate=0.002"]
    if estimator != "vimco":
        options.append("--model.temperature=0.5")
    elif m == 1:
        options.append("--model.estimator.samples=2")
    note = "2 draws, each the other's baseline" if estimator == "vimco" and m == 1 else ""
    return Row(estimator, tuple(options), section="several", learning_rates=(), note=note)


def _baseline(name: str) -> tuple[str, ...]:
    return "--model.estimator.samples=1", f"--model.estimator.baseline={name}"


ROWS: dict[str, Row] = {
    "gumbel_softmax": Row(temperatures=TEMPERATURES),
    "straight_through_gumbel_softmax": Row(temperatures=TEMPERATURES),
    "straight_through": Row(temperatures=TEMPERATURES),
    "gumbel_rao": Row(temperatures=TEMPERATURES, note="10 inner samples"),
    "reinmax": Row(temperatures=TEMPERATURES),
    "rebar": Row(temperatures=TEMPERATURES),
    "relax": Row(temperatures=TEMPERATURES),
    "reinforce_leave_one_out": Row("reinforce", note="4 samples"),
    "reinforce_learned": Row("reinforce", _baseline("learned")),
    "reinforce_moving_average": Row("reinforce", _baseline("moving_average")),
    "reinforce_none": Row("reinforce", _baseline("none")),
    "muprop": Row(),
    "gapped_straight_through": Row(temperatures=TEMPERATURES),
    "decoupled_straight_through_gumbel_softmax": Row(temperatures=TEMPERATURES, note="drawn at temperature 0.7"),
    "concrete": Row(temperatures=TEMPERATURES, note="prior temperature 0.4"),
    "unordered": Row(note="4 samples without replacement"),
    "arsm": Row(note="46 cost evaluations a step"),
    "gumbel_softmax_annealed": Row("gumbel_softmax", (ANNEALED,), note="1 to 0.5 over the first 7,000 steps"),
    "straight_through_gumbel_softmax_annealed": Row("straight_through_gumbel_softmax", (ANNEALED,)),
    "straight_through_annealed": Row("straight_through", (ANNEALED,)),
    "gaussian": Row(config="gaussian_vae_mnist", note="the reference line: no category, no estimator"),
    **{f"{name}_{m}": _several(name, m) for name in SEVERAL_ESTIMATORS for m in (1, 5, 50)},
}


# -- runs -------------------------------------------------------------------------------------------------------------


def train(out: Path, name: str, what: str, options: Sequence[str], test: bool) -> Path:
    """Train (and test) one run of a row in ``<out>/<name>/<what>``, or finish it; the run folder."""
    row = ROWS[name]
    own = [f"--model.estimator={row.estimator or name}"] if row.config == "catvae_mnist" else []
    return finish(out / name / what, row.config, [*own, *row.options, *options], test)


def validation_elbo(run: Path) -> float:
    """The best validation ELBO (nats) that a run has logged."""
    with (run / "metrics.csv").open(newline="", encoding="utf-8") as file:
        values = [float(line["val/elbo"]) for line in csv.DictReader(file) if line.get("val/elbo")]
    return min(values)


def tune(out: Path, name: str) -> list[str]:
    """Choose the temperature, then the learning rate; the options that say so."""
    row = ROWS[name]
    short = [f"--trainer.max_steps={TUNING_STEPS}", f"--trainer.val_check_interval={TUNING_STEPS}"]
    short += ["--trainer.check_val_every_n_epoch=null"]

    def score(temperature: float | None, rate: float) -> float:
        what = f"tune_lr{rate:g}" + ("" if temperature is None else f"_tau{temperature:g}")
        return validation_elbo(train(out, name, what, [*options(temperature, rate), *short], test=False))

    def options(temperature: float | None, rate: float) -> list[str]:
        tau = [] if temperature is None else [f"--model.temperature={temperature}"]
        return [*tau, f"--model.optimizer.learning_rate={rate}"]

    if not row.learning_rates:
        return []
    temperature, rate = None, row.learning_rates[0]
    if row.temperatures:
        temperature = min(row.temperatures, key=lambda tau: score(tau, rate))
    if len(row.learning_rates) > 1:
        rate = min(row.learning_rates, key=lambda other: score(temperature, other))
    return options(temperature, rate)


def job(arguments: tuple[Path, str, int | None]) -> str:
    """Tune a row (no seed), or make the final run of one seed; what became of it."""
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
    """Tuning first, for no two may work on one run, then seed by seed; a job that fails does not stop the others."""
    with multiprocessing.get_context("spawn").Pool(workers, maxtasksperchild=1) as pool:
        for part in ((None,), seeds):
            for message in pool.imap_unordered(job, [(out, name, seed) for seed in part for name in names]):
                print(message, flush=True)
        pool.close()
        pool.join()


# -- the table --------------------------------------------------------------------------------------------------------


def finished(out: Path) -> dict[str, dict[int, Path]]:
    """The tested runs under ``out``, by row and seed."""
    rows: dict[str, dict[int, Path]] = {}
    for name, row in ROWS.items():
        for seed in SEEDS:
            folder = out / name / f"seed{seed}" / row.config / "1"
            if (folder / "test.json").is_file():
                rows.setdefault(name, {})[seed] = folder
    return rows


def write(out: Path) -> None:
    """Put the runs under ``out`` into the record, measure the costs that it lacks, write the page and the README."""
    record: Record = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.is_file() else {}
    runs = finished(out)
    for name, seeds in runs.items():
        collect(record, name, seeds)
    new = {name: next(iter(seeds.values())) for name, seeds in runs.items() if "cost" not in record[name]}
    for name, cost in (measure(new, REFERENCE) if new else {}).items():
        record[name]["cost"] = cost
    record = {name: record[name] for name in ROWS if name in record}
    RECORD.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    write_page(str(RECORD), page(record))
    write_table("leaderboard", readme_table(record))


def section(record: Record, name: str) -> Record:
    """The rows of one of the tables."""
    return {row: entry for row, entry in record.items() if ROWS[row].section == name}


def words() -> tuple[dict[str, str], list[str]]:
    """The notes by row, and the rows with a temperature."""
    notes = {name: row.note for name, row in ROWS.items()}
    return notes, [name for name, row in ROWS.items() if row.temperatures or "temperature" in " ".join(row.options)]


def readme_table(record: Record) -> str:
    """What the README shows of the first table."""
    return table(section(record, "one"), *words(), README_COLUMNS)


def page(record: Record) -> list[str]:
    """The parts of ``leaderboard.md``."""
    several = section(record, "several")
    missing = [name for name in ROWS if name not in record]
    parts = [
        "# Leaderboard: one categorical VAE, every estimator",
        HEAD,
        environment([run for entry in record.values() for run in entry["seeds"].values()]),
        table(section(record, "one"), *words(), (*COLUMNS, "published")),
        SEVERAL,
        table(several, *words()) if several else "Not run yet.",
        "## Published\n\n" + OTHERS,
    ]
    return [*parts, f"Not run yet: {', '.join(missing)}."] if missing else parts


def main() -> None:
    """Run, or print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    runner = commands.add_parser("run", help="train and test what is not finished")
    runner.add_argument("--only", nargs="+", default=list(ROWS), choices=list(ROWS), metavar="ROW")
    runner.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS), choices=SEEDS)
    runner.add_argument("--workers", type=int, default=1, help="processes, one thread each")
    printer = commands.add_parser(
        "table", help="write leaderboard.json, leaderboard.md and the README's table from what is finished"
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
        raise SystemExit("interrupted; the same command goes on") from None
    except (RuntimeError, OSError, ValueError) as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
