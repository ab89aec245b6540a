"""The same small search for every row of a table, by a validation metric: rates and temperatures in short runs.

Where a choice is rewarded for its entropy, that reward is searched next, in runs as long as the final ones: which one
suits an estimator shows late, because it falls to 0 along the whole training.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from gumbelzoo.benchmarks.common import runs


class Choice(NamedTuple):
    """What a search selects; None where a row has no such option."""

    learning_rate: float
    temperature: float | None = None
    entropy: float | None = None

    @classmethod
    def read(cls, entry: Mapping[str, float]) -> Choice:
        """Return the choice of a record's entry."""
        return cls(entry["learning_rate"], entry.get("temperature"), entry.get("entropy"))

    def entry(self, minutes: float) -> dict[str, float]:
        """Return it for a record, with the minutes of the search."""
        given = {name: value for name, value in self._asdict().items() if value is not None}
        return {**given, "search_minutes": round(minutes, 2)}


@dataclass(frozen=True)
class Plan:
    """Searches of a row, and the length of its final runs.

    Attributes:
        choices: of the first search.
        metric: validation metric that the searches minimise.
        steps: of a final run, and of the second search.
        tuning_steps: of a run of the first search.
        tuning_seed: of both searches.
        entropies: rewards of entropy, of the second search; none if the row has no such search.
    """

    choices: Sequence[Choice]
    metric: str
    steps: int
    tuning_steps: int
    tuning_seed: int
    entropies: Sequence[float] = ()


def train(folder: Path, config: str, options: Sequence[str], steps: int, test: bool) -> Path:
    """Train (and test) a run with five validations in ``folder``, or resume it; return the run folder."""
    short = [f"--trainer.max_steps={steps}", f"--trainer.val_check_interval={max(1, steps // 5)}"]
    return runs.finish(folder, config, [*options, *short, "--trainer.check_val_every_n_epoch=null"], test)


def best_validation(run: Path, metric: str, maximise: bool = False) -> float:
    """Return the best value of a validation metric in a run's log."""
    with (run / "metrics.csv").open(newline="", encoding="utf-8") as file:
        values = [float(line[metric]) for line in csv.DictReader(file) if line.get(metric)]
    return max(values) if maximise else min(values)


def search(
    tune: Callable[[str, Choice], Path], choices: Sequence[Choice], metric: str, maximise: bool = False
) -> dict[str, float]:
    """Train a run of each choice, and return the best choice and the minutes of all; one choice needs no run.

    Args:
        tune: trains the run of a name with a choice, and returns its folder.
        choices: to be compared.
        metric: validation metric, such as ``val/nll``.
        maximise: True where a larger metric is better.

    Returns:
        The options of the best, and ``search_minutes``.
    """
    if len(choices) == 1:
        return choices[0].entry(0.0)
    runs_of = {choice: tune(run_name(choice), choice) for choice in choices}
    minutes = sum(runs.fit_record(run).get("minutes", 0.0) for run in runs_of.values())
    best = max if maximise else min
    return best(choices, key=lambda choice: best_validation(runs_of[choice], metric, maximise)).entry(minutes)


def run_name(choice: Choice) -> str:
    """Return the name of a choice's run, such as ``tune_lr0.1_tau0.5``."""
    parts = zip(("lr", "tau", "entropy"), choice, strict=True)
    return "tune_" + "_".join(f"{short}{value:g}" for short, value in parts if value is not None)
