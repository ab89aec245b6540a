"""Table of gradients for the page: presets of logits x costs x estimators x temperatures, from the library's layer.

``python -m gumbelzoo.explore.static.table`` computes it anew, in about a minute, and writes ``page/table.json``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ...models.relaxed import ESTIMATORS
from ..temperature import (
    COSTS,
    FORMULAS,
    Gradients,
    check_choice,
    cost_evaluations,
    estimators,
    exact_gradient,
    gradients,
)

TABLE = Path(__file__).parent / "page" / "table.json"
PRESETS = {
    "a favourite": [1.5, 0.5, -0.5],
    "even": [0.0, 0.0, 0.0],
    "nearly sure": [4.0, 0.0, -1.0],
    "a coin": [0.8, 0.0],
    "six categories": [1.5, 1.0, 0.0, -0.5, 0.5, -1.0],
}
TEMPERATURES = (0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 5.0)
DRAWS = 4096


def uses_temperature(estimator: str) -> bool:
    """Return whether the temperature changes an estimator; the score-function ones have none."""
    facts = ESTIMATORS[estimator]
    return facts.pathwise or facts.learns_temperature


def entry(found: Gradients) -> dict[str, Any]:
    """Return what the page shows of an estimator, with four digits; every second count is left out."""
    return {
        "mean": _rounded(found.mean.tolist()),
        "error": _rounded(found.error[::2].tolist()),
        "spread": float(f"{found.spread:.4g}"),
    }


def compute(preset: str, cost: str, estimator: str) -> list[dict[str, Any]]:
    """Compute the entries of an estimator, one per temperature, or one alone if it has no use for it."""
    used = TEMPERATURES if uses_temperature(estimator) else TEMPERATURES[:1]
    return [entry(gradients(PRESETS[preset], tau, cost, estimator, DRAWS)) for tau in used]


def description() -> dict[str, Any]:
    """Compute all but the entries."""
    first = gradients(PRESETS["even"], 1.0, "linear", "gumbel_softmax", DRAWS)
    return {
        "presets": PRESETS,
        "temperatures": TEMPERATURES,
        "costs": FORMULAS,
        "counts": first.counts[::2],
        "unbiased": {name: ESTIMATORS[name].unbiased for name in estimators(2)},
        "evaluations": {
            preset: {name: cost_evaluations(name, len(logits)) for name in estimators(len(logits))}
            for preset, logits in PRESETS.items()
        },
        "exact": {
            preset: {cost: _rounded(exact_gradient(check_choice(logits, 1.0, 1), cost).tolist()) for cost in COSTS}
            for preset, logits in PRESETS.items()
        },
    }


def main() -> None:
    """Compute and write the table."""
    rows = {
        (preset, cost, name): None for preset in PRESETS for cost in COSTS for name in estimators(len(PRESETS[preset]))
    }
    entries: dict[str, Any] = {}
    for preset, cost, name in tqdm(rows, unit=" rows"):
        entries.setdefault(preset, {}).setdefault(cost, {})[name] = compute(preset, cost, name)
    text = json.dumps({**description(), "entries": entries}, separators=(",", ":"), ensure_ascii=False)
    TABLE.write_text(text + "\n", encoding="utf-8")


def _rounded(values: list[float]) -> list[float]:
    return [float(f"{value:.4g}") for value in values]


if __name__ == "__main__":
    main()
