"""Tables of runs: what there is below a folder, and how several runs compare. Torch is not imported."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Sequence
from functools import cache
from typing import Any

from ..documentation.catalogue import Catalogue
from ..documentation.entries import Entry
from .records import Metric, Record
from .tables import MISSING, age, number, table

SHOWN_METRICS = 3  # of a test, at most


def differing_options(records: Sequence[Record]) -> list[str]:
    """Return the options in which runs differ; of runs of several models, those that all of them have."""
    names = list(dict.fromkeys(name for record in records for name in record.options))
    if len({record.model for record in records}) > 1:
        names = [name for name in names if all(name in record.options for record in records)]
    names.sort(key=lambda name: name.startswith(("trainer", "seed_everything")))  # what matters most comes first
    return [name for name in names if len({_text(record.options.get(name)) for record in records}) > 1]


def short_names(names: Collection[str]) -> dict[str, str]:
    """Return each dotted name's last part, or as many parts as tell it from the others."""
    short = {}
    for name in names:
        parts = name.split(".")
        tails = [".".join(parts[-count:]) for count in range(1, len(parts) + 1)]
        clashes = [other for other in names if other != name]
        short[name] = next(
            (tail for tail in tails if not any(other == tail or other.endswith(f".{tail}") for other in clashes)), name
        )
    return short


def describe(record: Record, names: Collection[str]) -> str:
    """Return the values of some options in short, such as ``learning_rate=0.001 latents=20``."""
    short = short_names(names)
    return " ".join(f"{short[name]}={_text(record.options[name])}" for name in names if name in record.options)


@cache  # reading the source takes a third of a second, and many runs are not tested
def _models() -> dict[str, Entry]:
    return Catalogue().registries["MODELS"].entries


def _tested(record: Record) -> dict[str, float]:
    """Metrics of a test by name, those that the model's card shows first; none of a run that was not tested."""
    metrics = record.tested.get("metrics")
    if not metrics:
        return {}
    entry = _models().get(record.model)
    card = (entry.keyword("card", "metrics") if entry else None) or ()
    named = {name.removeprefix("test/"): value for name, value in metrics.items() if _is_number(value)}
    shown = [name for name in card if name in named] or list(named)
    return {name: float(named[name]) for name in shown[:SHOWN_METRICS]}


def describe_all(records: Sequence[Record]) -> list[dict[str, Any]]:
    """Describe each run as plain values, for a program."""
    return [
        {
            "run": str(record.folder),
            "model": record.model,
            "state": record.state,
            "problem": record.problem or record.untested,
            "batches": record.batches,
            "minutes": record.minutes,
            "metric": record.monitor.name if record.monitor else None,
            "best": best[1] if (best := record.best()) else None,
            "test": _tested(record),
            "options": record.options,
        }
        for record in records
    ]


def list_table(records: Sequence[Record]) -> str:
    """Return a line per run: what differs from the other runs of its configuration, state, batches, metrics and age."""
    now = time.time()
    groups: dict[Any, list[Record]] = {}
    for record in records:
        groups.setdefault(record.folder.parent, []).append(record)
    rows = []
    for record in records:
        if record.problem:
            rows.append([str(record.folder), record.model, record.problem, record.state, "", "", "", ""])
            continue
        others = [other for other in groups[record.folder.parent] if other.model == record.model and not other.problem]
        best, tested = record.best(), _tested(record)
        names = sorted(differing_options(others), key=lambda name: _sharing(record, others, name))  # a cell is cut
        rows.append(
            [
                str(record.folder),
                record.model,
                describe(record, names),
                record.state,
                str(record.batches or 0),
                f"{record.monitor.name} {number(best[1])}" if record.monitor and best else MISSING,
                next((f"{name} {number(value)}" for name, value in tested.items()), record.untested or MISSING),
                age(now - record.changed),
            ]
        )
    return table(["run", "model", "differs in", "state", "batches", "best", "test", "age"], rows)


def _sharing(record: Record, others: Sequence[Record], name: str) -> int:
    """Number of runs that have a run's value of an option."""
    return sum(_text(other.options.get(name)) == _text(record.options.get(name)) for other in others)


def compare_tables(records: Sequence[Record], select: Metric | None = None) -> list[str]:
    """Return a table for each metric that selects a checkpoint, sorted by it, with notes on what does not compare.

    Args:
        records: at least one.
        select: metric for all runs, in the place of their own.
    """
    groups: dict[Metric | None, list[Record]] = {}
    for record in records:
        groups.setdefault(select or record.monitor, []).append(record)
    tables = [_compare(metric, group) for metric, group in groups.items()]
    if len(groups) > 1:
        names = [metric.name if metric else "no metric" for metric in groups]
        tables.append(f"{' and '.join(names)} are not compared with each other")
    return tables


def ranked(records: Iterable[Record], metric: Metric) -> list[Record]:
    """Return the runs, the best by a validation metric first, and those without it last."""
    sign = 1 if metric.lower_is_better else -1

    def key(record: Record) -> tuple[bool, float]:
        best = record.best(metric)
        return best is None, sign * best[1] if best else 0.0

    return sorted(records, key=key)


def _compare(metric: Metric | None, records: Sequence[Record]) -> str:
    """Head, table and notes of runs with one metric."""
    names = differing_options(records)
    measured = {id(record): _tested(record) for record in records}
    metrics = list(dict.fromkeys(name for found in measured.values() for name in found))
    unfinished = any(record.state not in ("finished", "ended") for record in records)
    rows = []
    for record in ranked(records, metric) if metric else records:
        best, tested = record.best(metric), measured[id(record)]
        rows.append(
            [
                str(record.folder),
                *(_text(record.options[name]) if name in record.options else MISSING for name in names),
                record.state if unfinished else "",
                number(best[1] if best else None) if metric else "",
                str(best[0]) if best else MISSING,
                *(number(tested.get(name)) for name in metrics),
                MISSING if record.minutes is None else f"{record.minutes:.2f}",
            ]
        )
    short = short_names(names)
    heads = ["run", *(short[name] for name in names), "state", metric.name if metric else "", "at batch"]
    heads += [*(f"test {name}" for name in metrics), "minutes"]
    same = " ".join(dict.fromkeys(f"{record.model} of {record.options.get('data.name', '?')}" for record in records))
    order = metric.order if metric else "no metric selects a checkpoint"
    return "\n".join([f"{same}: {order}", table(heads, rows), *_notes(metric, records)])


def _notes(metric: Metric | None, records: Sequence[Record]) -> list[str]:
    """What in a table does not compare, a line each."""
    notes = []
    data = [name for name in differing_options(records) if name.startswith("data") and "batch_size" not in name]
    if data and metric:
        notes.append(f"{metric.name} of different data does not compare: {', '.join(data)} differ")
    if len({record.model for record in records}) > 1:
        notes.append("options of one of the models only are left out")
    for record in records:
        best = record.best()
        checkpoint, batches = record.tested.get("checkpoint"), record.tested.get("batches")
        now = {"best.ckpt": best[0] if best else None, "last.ckpt": record.batches}.get(str(checkpoint))
        if record.tested and now is not None and batches != now:
            notes.append(
                f"{record.folder} was tested at batch {batches}, and its {checkpoint} is of batch {now} by now"
            )
        if record.untested:
            notes.append(f"{record.folder} has no test metrics: {record.untested}")
        if metric and not best and record.state != "training":
            notes.append(f"{record.folder} has no {metric.name}")
    return notes


def _text(value: Any) -> str:
    """Value as in a configuration, on one line."""
    return f"{value:g}" if isinstance(value, float) else MISSING if value is None else str(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
