"""A table of trained rows: its record, and the command that trains what the record lacks and writes the page.

A record has an entry for each row: ``choice``, what a search has selected with its minutes; ``runs``, by key; and what
else the table measures. It can hold runs of several machines and runs whose folders are gone.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from gumbelzoo.benchmarks.common import search
from gumbelzoo.benchmarks.common.pages import write_page
from gumbelzoo.benchmarks.common.runs import environment, fit_record, test_metrics

Record = dict[str, dict[str, Any]]
Job = tuple[Any, ...]  # name of a row, and which run of it
Train = Callable[[str, int, search.Choice, int, bool], Path]  # name, steps, choice, seed, and whether to test it
KEPT = ("seed", "minutes", "hardware", "versions", "commit")  # of fit.json


def tested(run: Path) -> dict[str, Any]:
    """Return what a record keeps of a run that is trained and tested: metrics, minutes, seed, machine, versions."""
    minutes = json.loads((run / "test.json").read_text(encoding="utf-8"))["minutes"]
    kept = {key: value for key, value in fit_record(run).items() if key in KEPT}
    return {"metrics": test_metrics(run), "test_minutes": minutes, **kept}


def section_parts(
    record: Record, rows: Mapping[str, Any], titles: Mapping[str, str], table: Callable[[Record], str]
) -> list[str]:
    """Return the title and the table of each section of ``rows`` for a page, or that none of its rows has run."""
    parts = []
    for section, title in titles.items():
        found = {name: record[name] for name in rows if name in record and rows[name].section == section}
        parts += [f"## {title}", table(found) if found else "Not run yet."]
    return parts


def not_run(record: Record, rows: Iterable[str]) -> list[str]:
    """Return the last part of a page, the names of rows that have not run; nothing if all have."""
    missing = [name for name in rows if name not in record]
    return [f"Not run yet: {', '.join(missing)}."] if missing else []


def budget(record: Record) -> str:
    """Return machines, versions and commits of all runs, and their minutes, in one line."""
    runs = [run for entry in record.values() for run in entry["runs"].values()]
    minutes = sum(run["minutes"] + run["test_minutes"] for run in runs)
    search = sum(entry["choice"]["search_minutes"] for entry in record.values())
    return f"{environment(runs)} {minutes:.0f} minutes of runs and {search:.0f} of search in total."


def at_edge(record: Record, rates: Sequence[float], entropies: Sequence[float] = ()) -> str:
    """Return how many of the rows that had a search selected its largest learning rate, and its smallest entropy."""
    searched = [entry["choice"] for entry in record.values() if entry["choice"]["search_minutes"]]
    edge = sum(choice["learning_rate"] == max(rates) for choice in searched)
    said = f"{edge} of {len(searched)} rows selected the largest learning rate, and might improve with a larger one."
    rewarded = [choice["entropy"] for choice in searched if "entropy" in choice]
    if not rewarded or not entropies:
        return said
    return f"{said} {rewarded.count(min(entropies))} of {len(rewarded)} selected the smallest reward of entropy."


def read_record(path: Path) -> Record:
    """Return the record, empty at first."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def write_record(
    path: Path,
    record: Record,
    names: Iterable[str],
    page: Callable[[Record], Sequence[str]],
    draw: Callable[[Record, Path], None],
) -> None:
    """Write record, page and picture next to each other, rows in the order of ``names``.

    A row that has been searched and has no run yet is in the record alone.
    """
    ordered = {name: record[name] for name in names if name in record}
    path.write_text(json.dumps(ordered, indent=1) + "\n", encoding="utf-8")
    shown = {name: entry for name, entry in ordered.items() if entry["runs"]}
    write_page(str(path), page(shown))
    draw(shown, path.with_suffix(".png"))


def run_command(
    description: str,
    out: str,
    names: Sequence[str],
    jobs: Callable[[Sequence[str]], Iterable[Job]],
    parts: Sequence[Callable[..., bool]],
    record: Record,
    write: Callable[[Record], None],
) -> None:
    """Read the command line, and do what is missing; a failed row does not stop the others.

    Args:
        description: for ``--help``.
        out: default folder of the runs.
        names: of all rows.
        jobs: gives the jobs of the chosen rows in the order of their worth.
        parts: of a job, called with the folder, the record and the job's values; True if the record has changed.
        record: of what is finished.
        write: writes record, page and picture.

    Raises:
        SystemExit: a job failed, or the command was interrupted.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(out))
    parser.add_argument("--only", nargs="+", default=list(names), choices=list(names), metavar="ROW")
    parser.add_argument("--page", action="store_true", help="write the page of what is recorded, and train nothing")
    options = parser.parse_args()
    sys.argv = sys.argv[:1]
    torch.set_num_threads(1)
    if options.page:
        return write(record)
    folder, failed = options.out.resolve(), []
    try:
        for job in jobs(options.only):
            try:
                for part in parts:
                    if part(folder, record, *job):
                        write(record)
            except (RuntimeError, OSError) as error:
                failed.append(job[0])
                print(f"{job[0]}: FAILED, {error}", file=sys.stderr, flush=True)
    except KeyboardInterrupt:
        raise SystemExit("interrupted; the same command resumes") from None
    if failed:
        raise SystemExit(f"failed: {', '.join(dict.fromkeys(failed))}")


def add_run(record: Record, name: str, key: str, choice: Mapping[str, float], run: Path) -> None:
    """Put a tested run into the record, under its row and key."""
    entry = record.get(name, {})
    record[name] = {**entry, "choice": dict(choice), "runs": {**entry.get("runs", {}), key: tested(run)}}


def finish_seed(record: Record, name: str, seed: int, plan: search.Plan, train: Train) -> Path | None:
    """Finish the run of a row's seed, and the row's searches before its first one.

    Args:
        record: gets both.
        name: of the row.
        seed: of the run, and its key in the record.
        plan: of the searches and the run.
        train: trains the run of a name with steps, choice and seed, and tests it if the last argument is True.

    Returns:
        The folder of the run; None if the record has it already.

    Raises:
        RuntimeError: the record has runs of the row from before its search of entropy.
    """
    entry = record.get(name, {})
    if str(seed) in entry.get("runs", {}):
        return None
    print(f"{name}: seed {seed}", flush=True)

    def select(choices: Sequence[search.Choice], steps: int) -> dict[str, float]:
        return search.search(
            lambda what, choice: train(what, steps, choice, plan.tuning_seed, False), choices, plan.metric
        )

    choice = entry.get("choice") or select(plan.choices, plan.tuning_steps)
    if plan.entropies and "entropy" not in choice:
        if entry.get("runs"):
            raise RuntimeError("its runs have no search of entropy: remove the row from the record to run it anew")
        found = select([search.Choice.read(choice)._replace(entropy=value) for value in plan.entropies], plan.steps)
        choice = {**found, "search_minutes": round(choice["search_minutes"] + found["search_minutes"], 2)}
    run = train(f"seed{seed}", plan.steps, search.Choice.read(choice), seed, True)
    add_run(record, name, str(seed), choice, run)
    return run


def seeds_of_rows(names: Sequence[str], seeds: Sequence[int]) -> Iterator[tuple[str, int]]:
    """Yield rows and seeds in the order of their worth: a seed of every row, then the others."""
    yield from ((name, seed) for seed in seeds for name in names)
