"""Test or validate trained models: their metrics on the test or validation set of their data."""

from __future__ import annotations

import math
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from lightning.pytorch.utilities.rank_zero import rank_zero_only

from ..pretrained.plugins import import_plugins
from ..pretrained.run_files import TEST
from ..pretrained.untrusted import printable
from .parsing.errors import SomeFailed, exit_code, explain
from .parsing.plugins import split_plugins
from .run_folders.tables import MISSING, number, table

if TYPE_CHECKING:
    from .files.source import Source

# Options of where and on what device to test, and what to add. With any other, a release could not repeat its metrics.
NEUTRAL_OPTIONS = (
    *("--data.root", "--data.path", "--data.test_path", "--data.labels_path", "--data.vocabulary_path"),
    *("--seed_everything", "--trainer.enable_progress_bar"),
    *("--fid", "--fid_samples", "--lpips"),  # add metrics, which are not kept
    *("--plugin", "--trainer.accelerator", "--trainer.devices", "--trainer.num_nodes", "--trainer.strategy"),
)

DATA_FACTS = ("data set", "binarization")  # without the same ones, metrics are not comparable


def measure_sources(command: str, arguments: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Run ``gumbelzoo test NAME ... [options]``; a NAME is a release, a hub id, a run or one of its checkpoints.

    One that fails does not end the others. The test metrics of each run are written to its ``test.json``, unless an
    option changes them; several sources are summed up in a table.

    Args:
        command: ``test`` or ``validate``.
        arguments: sources, then options.

    Returns:
        What was measured, as ``measure`` returns it, by source.

    Raises:
        ValueError: nothing of one of the names, before anything is measured; or a damaged file.
        SomeFailed: the measurement of some of several sources failed.
    """
    from ..pretrained.api import find

    given = list(takewhile(lambda argument: not argument.startswith("-"), arguments))
    names, options = list(dict.fromkeys(given)), arguments[len(given) :]
    import_plugins(split_plugins(options)[0])
    if len(names) == 1:
        return {names[0]: _measure_one(command, names[0], options)}
    for name in names:
        find(name)
    measured: dict[str, dict[str, Any]] = {}
    errors: list[Exception] = []
    for name in names:
        try:
            measured[name] = _measure_one(command, name, options)
        except Exception as error:
            errors.append(error)
            print(printable(f"{name}: {explain(error)}"), file=sys.stderr)
    _print_table(measured)
    if errors:
        kind = ValueError if all(exit_code(error) == 2 for error in errors) else SomeFailed
        raise kind(f"{len(errors)} of {len(names)} failed: {', '.join(name for name in names if name not in measured)}")
    return measured


def measure(source: Source, rest: Sequence[str] = (), command: str = "test") -> dict[str, Any]:
    """Test or validate the model as it is in memory, on its data and with its seed, and print the metrics.

    Returns:
        ``metrics`` and ``data``, and of a test ``added`` (metrics that only options add), ``seed``, ``minutes`` and
        the environment.

    Raises:
        ValueError: no data or unknown data, or an option that neither trainer, data nor model has.
        FileNotFoundError: the data are not there.
    """
    from .training.trainer import ZooCLI

    return ZooCLI([command, *rest], source).tested


def _measure_one(command: str, name: str, rest: Sequence[str]) -> dict[str, Any]:
    """Measure one source, keep the test metrics of a run, and return ``metrics`` and ``data``."""
    from .files.source import resolve_source

    source = resolve_source(name)
    keeps = command == "test" and source.run is not None
    if keeps and not os.access(str(source.run), os.W_OK):
        keeps = False
        print(printable(f"{source.run} cannot be written: its metrics are shown and not kept"), file=sys.stderr)
    _print_place(source)
    tested = measure(source, rest, command)
    if keeps:
        _write_record(source, tested, [command, name, *rest])
    return tested


def finite(metrics: Mapping[str, float]) -> dict[str, float]:
    """Return the metrics that a record can state, and name the others."""
    if others := [f"{name} is {value}" for name, value in metrics.items() if not math.isfinite(value)]:
        print(printable(f"not kept: {', '.join(others)}, and a record has finite numbers"), file=sys.stderr)
    return {name: value for name, value in metrics.items() if math.isfinite(value)}


@rank_zero_only
def _print_place(source: Source) -> None:
    """Name the run and the checkpoint above their metrics."""
    if source.run is not None:
        print(printable(f"{'run':24s} {source.run}"))
        print(printable(f"{'checkpoint':24s} {source.checkpoint}"))


@rank_zero_only
def _print_table(measured: Mapping[str, Mapping[str, Any]]) -> None:
    """Print a row per source: facts of the data that differ, and the metrics."""
    results = list(measured.values())
    facts = [fact for fact in DATA_FACTS if len({result["data"].get(fact) for result in results}) > 1]
    metrics = list(dict.fromkeys(metric for result in results for metric in result["metrics"]))
    rows = [
        [name, *(str(result["data"].get(fact, MISSING)).partition(":")[0] for fact in facts)]
        + [number(result["metrics"].get(metric)) for metric in metrics]
        for name, result in measured.items()
    ]
    if rows:
        print(f"\n{table(['', *facts, *(metric.partition('/')[2] for metric in metrics)], rows)}")


@rank_zero_only
def _write_record(source: Source, tested: dict[str, Any], arguments: list[str]) -> None:
    """Write ``test.json`` of a run, unless an option makes the metrics those of something else."""
    from .run_folders import runs

    assert source.run is not None and source.checkpoint is not None
    options = [argument.partition("=")[0] for argument in arguments if argument.startswith("-")]
    if others := [option for option in options if option not in NEUTRAL_OPTIONS]:
        print(f"\nnot kept, because of {', '.join(others)}: a release could not repeat these metrics")
        return
    content = {
        **{name: value for name, value in tested.items() if name != "added"},
        "metrics": finite({name: value for name, value in tested["metrics"].items() if name not in tested["added"]}),
        "checkpoint": source.checkpoint.name,
        "batches": source.batches,
        "command": runs.command_line(arguments),
    }
    try:
        runs.write_json(source.run / TEST, content)
    except OSError as error:  # a full disk; the metrics have been shown
        print(printable(f"\nnot kept: {error}"), file=sys.stderr)
        return
    run = shlex.quote(str(source.run))
    print()
    if tested["added"]:
        print(f"not kept: {', '.join(tested['added'])}; a release repeats what `test` measures without options")
    print(printable(f"written to {source.run / TEST}; next:"))
    print(printable(f"  {runs.program()} export {run} checkpoints/NAME"))
