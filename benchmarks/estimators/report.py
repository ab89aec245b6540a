"""Page of ``estimators.py``."""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from gumbelzoo.benchmarks.common.pages import markdown_table
from gumbelzoo.benchmarks.estimators import gradient_quality
from gumbelzoo.benchmarks.estimators.picture import draw

Row = dict[str, Any]  # description and metrics of one variant of an estimator
FINDINGS = "## Findings"  # the section written by hand
REFERENCE = "gumbel_softmax"  # its time is the unit
NUMBERS = ["bias", "floor", "std", "cosine", "log-variance"]
EQUAL = "cosine of 100 evaluations"


def label(row: Row) -> str:
    """Return name and options as a text."""
    options = {**row["options"], **({"temperature": "learned"} if row["learned"] else {})}
    return ", ".join([row["estimator"], *(f"{k}={v}" for k, v in options.items() if (k, v) != ("samples", 1))])


def best(rows: Iterable[Row]) -> list[Row]:
    """Select, among rows that differ only in temperature, the one with the best cosine of 100 evaluations."""
    chosen: dict[str, Row] = {}
    for row in rows:
        if label(row) not in chosen or row[EQUAL] > chosen[label(row)][EQUAL]:
            chosen[label(row)] = row
    return list(chosen.values())


def resolved(row: Row) -> bool:
    """True if the squared net bias is at least three standard errors above 0."""
    return row["net_square"] >= 3 * row["net_square_error"]


def net_bias(row: Row) -> float:
    """Return the net bias relative to |g|, or an upper limit if it is not resolved."""
    slack = 0.0 if resolved(row) else 3 * row["net_square_error"]
    return math.sqrt(max(row["net_square"], 0.0) + slack)


def show_net_bias(row: Row) -> str:
    """Format the net bias for a table."""
    return f"{'' if resolved(row) else '< '}{net_bias(row):.2f}"


def write(tables: dict[str, list[Row]], descriptions: dict[str, str], notes: str, script: Path) -> None:
    """Write page and picture next to the script; the page's last section, the findings, is kept.

    Args:
        tables: rows by set-up; the first one is drawn.
        descriptions: of the set-ups' models.
        notes: text below the picture.
        script: file of the script.
    """
    target = script.with_suffix(".md")
    findings = target.read_text().partition(FINDINGS)[2] if target.exists() else "\n"
    parts = ["# Gradient estimators: bias, noise and cost"]
    parts.append(f"![Bias, noise and closeness of gradients]({script.stem}.png)")
    parts.append("![Draws of Gumbel-Softmax, and bias and noise of gradients, over the temperature](temperature.png)")
    parts.append(notes)
    parts.append(f"{platform.machine()}, {os.cpu_count()} cores, one thread; torch {torch.__version__}.")
    parts.append("\n".join(f"- {name}: {text}" for name, text in descriptions.items()))
    parts += ["## The metrics", str(gradient_quality.__doc__).partition("\n")[2].strip()]
    timed = {name: rows for name, rows in tables.items() if "seconds" in rows[0]}
    for name, rows in timed.items():
        parts += [f"## {name}", main_table(rows)]
        tempered = [row for row in rows if row["temperature"] and not row["learned"] and row["evaluations"] <= 2]
        biased = [row for row in tempered if not row["unbiased"]]
        parts += [f"## {name}, over temperature", "Net bias:", temperature_table(biased, show_net_bias)]
        parts += ["Std:", temperature_table(tempered, lambda row: f"{row['std']:.2f}")]
        parts += ["Cosine:", temperature_table(biased, lambda row: f"{row['cosine']:.2f}")]
        parts += [f"{EQUAL.capitalize()}:", temperature_table(tempered, lambda row: f"{row[EQUAL]:.2f}")]
    first = next(iter(tables))
    same = {name: rows for name, rows in tables.items() if name == first or name not in timed}
    parts += ["## Models trained by other estimators", "Net bias, std, cosine:", model_table(same)]
    target.write_text("\n\n".join([*parts, FINDINGS]) + findings)
    draw(target.read_text(encoding="utf-8"), first, script.with_suffix(".png"))


def main_table(rows: list[Row]) -> str:
    """Tabulate every variant at its best temperature, in the order of the cosine of 100 evaluations."""
    unit = next(row["seconds"] for row in rows if label(row) == REFERENCE)
    cells = [
        [
            label(row),
            f"{row['temperature']:.2g}" if row["temperature"] else "",
            str(row["evaluations"]),
            f"{row[EQUAL]:.3f}",
            show_net_bias(row),
            *(f"{row[name]:.2f}" for name in NUMBERS),
            f"{1e6 * row['seconds']:,.0f}",
            f"{row['seconds'] / unit:.2f}",
        ]
        for row in sorted(best(rows), key=lambda row: -row[EQUAL])
    ]
    header = ["estimator", "temperature", "evaluations", EQUAL, "net bias", *NUMBERS, "us", f"x {REFERENCE}"]
    return markdown_table(header, cells)


def temperature_table(rows: list[Row], show: Callable[[Row], str]) -> str:
    """Tabulate one metric: a row per estimator, a column per temperature."""
    shown = {(label(row), row["temperature"]): show(row) for row in rows}
    across = sorted({temperature for _, temperature in shown})
    names = dict.fromkeys(name for name, _ in shown)
    cells = [[name, *(shown[name, temperature] for temperature in across)] for name in names]
    return markdown_table(["estimator", *(f"{temperature:.1f}" for temperature in across)], cells)


def model_table(tables: dict[str, list[Row]]) -> str:
    """Tabulate the variants of the last model: a column per model."""
    models = [{(label(row), row["temperature"]): row for row in rows} for rows in tables.values()]
    cells = []
    for name, temperature in models[-1]:
        found = [model[name, temperature] for model in models]
        metrics = [f"{show_net_bias(row)}, {row['std']:.2f}, {row['cosine']:.2f}" for row in found]
        cells.append([name, f"{temperature:.1f}" if temperature else "", *metrics])
    return markdown_table(["estimator", "temperature", *tables], cells)
