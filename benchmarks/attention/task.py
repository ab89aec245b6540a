"""A task of attention: its runs, and the search of a row before its first one.

Learning rate and temperature are selected in short runs, then the reward of entropy in runs as long as the final ones:
which reward suits a row shows late, because it falls to 0 along the whole training.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gumbelzoo.benchmarks.attention.rows import ENTROPIES, ROWS, TUNING_SEED, Row
from gumbelzoo.benchmarks.common import search
from gumbelzoo.benchmarks.common.runs import fit_record, row_folder
from gumbelzoo.benchmarks.common.table import Record, add_run

METRIC = "val/nll"


@dataclass(frozen=True)
class Task:
    """What the runs of all rows have in common.

    Attributes:
        config: name of the configuration.
        steps: of a final run.
        tuning_steps: of a run of the first search.
        data: options of the data.
    """

    config: str
    steps: int
    tuning_steps: int
    data: tuple[str, ...] = ()

    def train(self, folder: Path, options: Sequence[str], steps: int, seed: int, test: bool) -> Path:
        """Train (and test) a run, or resume it; return its folder."""
        return search.train(folder, self.config, [*options, *self.data, f"--seed_everything={seed}"], steps, test)

    def finish_seed(self, out: Path, record: Record, name: str, seed: int) -> Path | None:
        """Finish a row's run of a seed, and its search before the first, and record both; None if the record has it."""
        entry = record.get(name, {})
        if str(seed) in entry.get("runs", {}):
            return None
        print(f"{name}: seed {seed}", flush=True)
        folder = row_folder(out, name)
        choice = entry.get("choice") or self.choose(folder, ROWS[name])
        run = self.train(folder / f"seed{seed}", chosen_options(ROWS[name], choice), self.steps, seed, test=True)
        add_run(record, name, str(seed), choice, run)
        return run

    def choose(self, folder: Path, row: Row) -> dict[str, float]:
        """Search a row in ``folder``: return what ``search.search`` does, and ``entropy`` for a bound."""

        def tune(name: str, options: Sequence[str], steps: int) -> Path:
            return self.train(folder / name, options, steps, TUNING_SEED, test=False)

        found = search.search(
            lambda name, choice: tune(name, row.options(*choice), self.tuning_steps), row.choices, METRIC
        )
        if not row.bounded:
            return found
        choices = [{**found, "entropy": entropy} for entropy in ENTROPIES]
        runs = [tune(f"entropy{it['entropy']:g}", chosen_options(row, it), self.steps) for it in choices]
        scores = [search.best_validation(run, METRIC) for run in runs]
        minutes = found["search_minutes"] + sum(fit_record(run).get("minutes", 0.0) for run in runs)
        return {**choices[scores.index(min(scores))], "search_minutes": round(minutes, 2)}


def chosen_options(row: Row, choice: Mapping[str, Any]) -> list[str]:
    """Return the options of ``fit`` for a row with what its search has found."""
    return row.options(choice["learning_rate"], choice.get("temperature"), choice.get("entropy"))
