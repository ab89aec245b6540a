"""The same small search for every row of a table: learning rates and temperatures, by a validation metric."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path

from gumbelzoo.benchmarks.common import runs

Choice = tuple[float, float | None]  # learning rate, and temperature where a row has one


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
    """Train a short run of each choice, and return the best choice and the minutes of all; one choice needs no run.

    Args:
        tune: trains the run of a name with a choice, and returns its folder.
        choices: to be compared.
        metric: validation metric, such as ``val/nll``.
        maximise: True where a larger metric is better.

    Returns:
        ``learning_rate``, ``temperature`` if there is one, and ``search_minutes``.
    """
    scores, minutes = dict.fromkeys(choices, 0.0), 0.0
    for rate, temperature in choices if len(choices) > 1 else ():
        name = f"tune_lr{rate:g}" + ("" if temperature is None else f"_tau{temperature:g}")
        run = tune(name, (rate, temperature))
        scores[rate, temperature] = best_validation(run, metric, maximise)
        minutes += runs.fit_record(run).get("minutes", 0.0)
    best = max if maximise else min
    rate, temperature = best(scores, key=lambda choice: scores[choice])
    chosen = {"learning_rate": rate, "search_minutes": round(minutes, 2)}
    return chosen if temperature is None else {**chosen, "temperature": temperature}
