"""The leaderboard's record, and the table that is made from it.

A record has, for each row, ``choice`` (estimator, temperature and learning rate), ``seeds`` (bound, ELBO and the
``fit.json`` of each run, without its command), and ``cost`` once it is measured. Runs with an ``origin`` are older than
the record: their values reproduce the means and standard errors of former pages.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from gumbelzoo.benchmarks.common.pages import markdown_table, mean_and_error
from gumbelzoo.benchmarks.common.runs import fit_record, test_metrics
from gumbelzoo.benchmarks.leaderboard.rows import Row
from gumbelzoo.models.relaxed import ESTIMATORS

Record = dict[str, dict[str, Any]]

README_COLUMNS = ("row", "bound", "seeds", "ELBO", "step", "note", "published")
COLUMNS = ("row", "bound", "seeds", "ELBO", "unbiased", "temperature", "learning rate", "step", "log-variance", "note")
PUBLISHED = {  # Jang et al. 2017, table 1
    "gumbel_softmax": "101.5",
    "straight_through_gumbel_softmax": "107.8",
    "straight_through": "110.9",
    "straight_through_annealed": "107.8",
    "muprop": "107.0",
    "reinforce_learned": "110.6",
}
OTHERS = """\
| published, other set-ups, networks and optimizers | bound |
| --- | --- |
| Paulus et al. 2021, 80 x 8, m = 5000, batch 20 / 200: Gumbel-Softmax | 95.5 / 92.3 |
| Paulus et al. 2021: ST Gumbel-Softmax | 98.0 / 92.8 |
| Paulus et al. 2021: Gumbel-Rao, 100 samples | 96.8 / 92.2 |
| Paulus et al. 2021: ST / REINFORCE | 107.2 / 105.1 and 203.9 / 124.9 |"""


def collect(record: Record, name: str, runs: Mapping[int, Path]) -> None:
    """Add a row's tested runs, by seed, to the record.

    A recorded seed is kept, so that nobody can repeat a run until its result is good. Runs with another choice than the
    recorded one start the row anew.
    """
    for seed, run in runs.items():
        arguments = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))["model"]["init_args"]
        estimator = arguments.get("estimator")
        choice = {
            "estimator": estimator["name"] if isinstance(estimator, dict) else estimator,
            "temperature": arguments.get("temperature"),
            "learning_rate": arguments["optimizer"]["learning_rate"],
        }
        if name not in record or record[name]["choice"] != choice:
            record[name] = {"choice": choice, "seeds": {}}
        metrics = {key: test_metrics(run)[f"test/{key}"] for key in ("bound", "elbo")}
        # The command has folders of one machine.
        fit = {key: value for key, value in fit_record(run).items() if key != "command"}
        record[name]["seeds"].setdefault(str(seed), {**metrics, **fit})


def table(record: Record, rows: Mapping[str, Row], columns: Sequence[str] = COLUMNS, most: int | None = None) -> str:
    """Return a Markdown table of the recorded rows, the best bound first, with at most ``most`` rows."""
    bounds = {name: [run["bound"] for run in entry["seeds"].values()] for name, entry in record.items()}
    ranking = sorted(record, key=lambda name: statistics.mean(bounds[name]))[:most]
    lines = [_cells(name, record[name], rows[name], bounds[name]) for name in ranking]
    return markdown_table(columns, [[cells[column] for column in columns] for cells in lines])


def _cells(name: str, entry: dict[str, Any], row: Row, bounds: list[float]) -> dict[str, str]:
    """Return a row's cells by column."""
    choice, cost = entry["choice"], entry.get("cost")
    estimator, log_variance = choice["estimator"], cost["log_variance"] if cost else None
    return {
        "row": f"`{name}`",
        "bound": f"**{mean_and_error(bounds, 2)}**",
        "seeds": str(len(bounds)),
        "ELBO": f"{statistics.mean(run['elbo'] for run in entry['seeds'].values()):.2f}",
        "unbiased": {True: "yes", False: "no", None: ""}[ESTIMATORS[estimator].unbiased if estimator else None],
        "temperature": _temperature(choice["temperature"]) if row.has_temperature else "",
        "learning rate": f"{choice['learning_rate']:g}",
        "step": f"{cost['ratio']:.2f}" if cost else "",
        "log-variance": "" if log_variance is None else f"{log_variance:.2f}",
        "published": PUBLISHED.get(name, ""),
        "note": row.note,
    }


def _temperature(spec: Any) -> str:
    return f"{spec['initial']:g} to {spec['minimum']:g}" if isinstance(spec, dict) else f"{spec:g}"
