"""Train a run for each combination of some options, side by side, and compare them. It needs no account.

Each run is an ordinary `fit` with a name. The same command goes on with a sweep that was stopped. All other options are
those of `fit`, written as --option=value.
"""

from __future__ import annotations

import argparse
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..pretrained.paths import SCRATCH
from ..pretrained.run_files import BEGUN, LOCK, METRICS, checkpoint_path
from ..pretrained.untrusted import printable
from .compare import select_option
from .parsing.errors import SomeFailed, explain
from .run_folders.comparison import compare_tables, ranked
from .run_folders.lock import is_held
from .run_folders.records import Metric, read_record
from .run_folders.tables import number
from .sweeps.grid import Point, make_points, parse_values
from .sweeps.jobs import MAX_JOBS, Job, Terminated, launcher, run_jobs
from .sweeps.sweep_file import SweepFile, find_sweep, read_sweep

COMPARED = ("model", "data", "seed_everything", "ema")  # sections that a run goes on with as they are
UNUSED = (*BEGUN, METRICS, LOCK)  # files of a run that was stopped before its first checkpoint


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument(
        "file", nargs="?", help="sweep file of wandb with a grid or random search; or its options below"
    )
    parser.add_argument("--config", action="append", default=[], help="configuration of the runs, as of fit")
    parser.add_argument(
        "--grid",
        action="append",
        default=[],
        metavar="OPTION=VALUE,VALUE",
        help="an option of fit and its values; several are combined",
    )
    parser.add_argument("--count", type=int, help="number of points to draw at random, instead of all combinations")
    parser.add_argument("--seed", type=int, default=0, help="of the draw, not of the runs; default 0")
    parser.add_argument("--jobs", type=int, default=1, help="number of runs at a time")
    parser.add_argument(
        "--select", type=select_option, metavar="METRIC", help="validation metric of the best run, as of compare"
    )
    parser.add_argument("--name", default="", help="first part of the names of the runs")


def run(options: argparse.Namespace) -> None:
    """Check all runs, train those that have not finished, and print the comparison and the best one.

    Raises:
        ValueError: options that one of the runs refuses, or runs of these names with other options.
        SomeFailed: some of the runs failed; the others are finished.
    """
    if not 1 <= options.jobs <= MAX_JOBS:
        raise ValueError(f"--jobs must be from 1 to {MAX_JOBS}, got {options.jobs}")
    if options.count is not None and options.count < 1:
        raise ValueError(f"--count must be >= 1, got {options.count}")
    file = _read_file(options)
    grid = [parse_values(text) for text in options.grid]
    if twice := {name for number, (name, _) in enumerate(grid) if name in dict(grid[:number])}:
        raise ValueError(f"--grid {twice.pop()} is there twice; give all its values at once")
    parameters = {**(file.parameters if file else {}), **dict(grid)}
    count = options.count or (file.count if file else None)
    if file and file.random and count is None:
        raise ValueError("a random search needs the number of its runs: --count, or run_cap in the file")
    points = make_points(parameters, count, options.seed, options.name)
    given = [f"--config={name}" for name in options.config] + [f"--plugin={name}" for name in options.plugin]
    arguments = [*(file.arguments if file else []), *given, *options.fit]
    tasks, metric = _plan(points, arguments)
    Sweep(tasks, options.select or (file.metric if file else None) or metric).run(options.jobs)


@dataclass(frozen=True)
class Task:
    """A point and its run.

    Attributes:
        point: its options.
        folder: of the run.
        state: ``new``, ``again`` (stopped before its first checkpoint), ``resumed``, ``finished``, or ``training`` by
            another process.
        arguments: of its ``fit``.
    """

    point: Point
    folder: Path
    state: str
    arguments: Sequence[str]


class Sweep:
    """Runs that are trained side by side, with a line for each that ends.

    Args:
        tasks: all of them, with those that have finished before.
        metric: by which they are compared; None if their model has none.
    """

    def __init__(self, tasks: Sequence[Task], metric: Metric | None) -> None:
        self.tasks, self.metric = tasks, metric
        self.waiting = [task for task in tasks if task.state in ("new", "again", "resumed")]
        self.ended = 0
        self.minutes = 0.0
        self.failed: list[str] = []

    def run(self, jobs: int) -> None:
        """Train, compare, and name the best; errors are those of the command."""
        counts = {
            state: sum(task.state == state for task in self.tasks) for state in ("finished", "resumed", "training")
        }
        said = [f"{count} {state}" for state, count in counts.items() if count]
        print(printable(f"{len(self.tasks)} runs in {self.tasks[0].folder.parent}{': ' * bool(said)}{', '.join(said)}"))
        sys.stdout.flush()
        for task in self.tasks:
            if task.state == "again" and not is_held(task.folder):  # by another sweep, since it was looked at
                shutil.rmtree(task.folder, ignore_errors=True)
        try:
            run_jobs(
                [[*launcher(), *task.arguments] for task in self.waiting], jobs, lambda job: self._report(job, jobs)
            )
        except (KeyboardInterrupt, Terminated) as error:
            error.add_note("the same command goes on with the sweep")
            raise
        self._compare()
        busy = [task.point.name for task in self.tasks if task.state == "training"]
        if self.failed or busy:
            said = [f"{len(self.failed)} failed"] if self.failed else []
            said += [f"{len(busy)} are trained by other processes"] if busy else []
            raise SomeFailed(f"of {len(self.tasks)} runs {' and '.join(said)}; the same command goes on with them")

    def _report(self, job: Job, jobs: int) -> None:
        """Say how a run ended, and how long the others may take."""
        task = self.waiting[job.number]
        self.ended += 1
        self.minutes += job.minutes
        if job.process.returncode == 0:
            record = read_record(task.folder)
            best = record.best(self.metric)
            said = f"{self.metric.name} {number(best[1])}" if self.metric and best else "finished"
        else:
            self.failed.append(task.point.name)
            said = f"failed with exit code {job.process.returncode}: {job.last_line()}"
        left = (len(self.waiting) - self.ended) * self.minutes / self.ended / jobs
        rest = f", about {left:.1f} minutes left" if self.ended < len(self.waiting) else ""
        print(
            printable(f"{self.ended}/{len(self.waiting)}  {task.point.name}  {said}  ({job.minutes:.1f} minutes{rest})")
        )
        sys.stdout.flush()

    def _compare(self) -> None:
        """Print the table of all runs, and the best one with what to type next."""
        from .run_folders.runs import program

        records = [record for task in self.tasks if not (record := read_record(task.folder)).problem]
        metric = self.metric
        if metric and records and not any(record.best(metric) for record in records):
            known = sorted({name for record in records for name in record.curves})
            print(printable(f"no run has {metric.name}; there are: {', '.join(known) or 'none'}"))
            metric = None
        if records:
            print("", *compare_tables(records, metric), sep="\n")
        best = next(iter(ranked(records, metric)), None) if metric else None
        value = best.best(metric) if best else None
        if metric and best and value:
            task = next(task for task in self.tasks if task.folder == best.folder)
            again = [
                argument for argument in task.arguments[1:] if not argument.startswith(("--name=", "--ckpt_path="))
            ]
            print()
            print(printable(f"best      {best.folder}  ({metric.name} {number(value[1])})"))
            print(printable(f"next      {program()} test {shlex.quote(str(best.folder))}"))
            print(printable(f"          {program()} fit {shlex.join(again)}"))


def _read_file(options: argparse.Namespace) -> SweepFile | None:
    """Read the sweep file, if one is given."""
    if options.file is None:
        return None
    try:
        path = find_sweep(options.file)
    except ValueError as error:
        if any(argument.startswith("--") and "=" not in argument for argument in options.fit):
            raise ValueError(f"options of fit are written as --option=value in a sweep ({error})") from None
        raise
    return read_sweep(path)


def _plan(points: Sequence[Point], arguments: Sequence[str]) -> tuple[list[Task], Metric | None]:
    """Try the options of every point, and see what is there of its run.

    Raises:
        ValueError: options that `fit` would refuse; the point is named. Or a folder in the place of a run.
    """
    from .training.trial import try_fit

    tasks, monitor = [], None
    for point in points:
        given = [*arguments, *point.arguments]
        try:
            trial = try_fit(given)
        except Exception as error:
            raise ValueError(f"{' '.join(point.arguments)}: {explain(error)}") from error
        folder = trial.parent / point.name
        state = _state(folder, trial.options)
        resume = ["--ckpt_path=last"] if state == "resumed" else []
        tasks.append(Task(point, folder, state, ["fit", *given, f"--name={point.name}", *resume]))
        monitor = monitor or trial.monitor
    return tasks, Metric(monitor) if monitor else None


def _state(folder: Path, options: Mapping[str, object]) -> str:
    """State of a task whose run would have these options."""
    if not folder.exists():
        return "new"
    record = read_record(folder)
    if record.problem:
        raise ValueError(f"{folder} is in the way: {record.problem}")
    if record.state == "training":
        return "training"
    others = [name for name in {*options, *record.options} if record.options.get(name) != options.get(name)]
    if fixed := sorted(name for name in others if name.partition(".")[0] in COMPARED):
        name = fixed[0]
        raise ValueError(
            f"{folder} has {name}={record.options.get(name)}, not {options.get(name)}; give this sweep a --name of its "
            "own"
        )
    if record.state == "finished" and not others:
        return "finished"
    if checkpoint_path(folder, "last").is_file():
        return "resumed"
    files = [path for path in folder.rglob("*") if not path.is_dir()]
    if not all(path.name in UNUSED or path.match(SCRATCH.format("*")) for path in files):
        raise ValueError(f"{folder} has no last.ckpt to go on from; remove it, or give this sweep a --name")
    return "again"
