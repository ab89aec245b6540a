"""Tables and picture of ``estimators.py``."""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from gumbelzoo.benchmarks.common.pages import markdown_table
from gumbelzoo.benchmarks.estimators import gradient_quality
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullFormatter

Row = dict[str, Any]  # description and metrics of one variant of an estimator
FINDINGS = "## Findings"  # the section written by hand
REFERENCE = "gumbel_softmax"  # its time is the unit
NO_NOISE = 0.1  # estimators with a smaller std are not drawn: the exact gradient, and vanishing ones
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
        tables: rows by set-up; the first set-up is drawn.
        descriptions: of the set-ups' models.
        notes: text below the picture.
        script: file of the script.
    """
    target = script.with_suffix(".md")
    findings = target.read_text().partition(FINDINGS)[2] if target.exists() else "\n"
    parts = ["# Gradient estimators: bias, noise and cost", f"![Bias against noise]({script.stem}.png)", notes]
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
    picture(tables[first]).savefig(script.with_suffix(".png"), dpi=130)


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


def picture(rows: list[Row]) -> Figure:
    """Draw net bias against std of biased estimators over temperature, and below it the std of unbiased ones."""
    unit = next(row["seconds"] for row in rows if label(row) == REFERENCE)
    figure = Figure(figsize=(11, 9.5), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(1.2, 1))
    biased = [row for row in rows if not row["unbiased"] and row["evaluations"] == 1 and row["std"] > NO_NOISE]
    draw_curves(upper, {name: [r for r in biased if label(r) == name] for name in map(label, biased)}, unit)
    unbiased = [row for row in best(rows) if row["unbiased"] and row["std"] > NO_NOISE]
    families: dict[str, list[Row]] = {}
    for row in unbiased:
        families.setdefault(label({**row, "options": {**row["options"], "samples": 1}}), []).append(row)
    draw_strips(lower, families, unit)
    return figure


def draw_curves(axes: Axes, curves: dict[str, list[Row]], unit: float) -> None:
    """Draw one curve per estimator, with its name in the margin; a hollow mark is an upper limit."""
    axes.set(xscale="log", yscale="log", ylabel="net bias / |g|")
    axes.set_title(
        "biased: temperature rises from the named end of a curve; hollow marks are upper limits", fontsize=10
    )
    for number, curve in enumerate(curves.values()):
        x, y = [row["std"] for row in curve], [net_bias(row) for row in curve]
        faces = [f"C{number}" if resolved(row) else "white" for row in curve]
        axes.plot(x, y, color=f"C{number}", linewidth=1, zorder=1)
        axes.scatter(x, y, [area(row, unit) for row in curve], faces, edgecolors=f"C{number}", alpha=0.8)
    for axis, ticks in ((axes.xaxis, (0.5, 1, 2, 5, 10, 20, 50)), (axes.yaxis, (0.2, 0.3, 0.5, 1, 2, 3))):
        axis.set_major_locator(FixedLocator(ticks))
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter(NullFormatter())
    low, high = (math.log(limit) for limit in axes.get_ylim())
    ends = {name: min(curve, key=lambda row: row["temperature"]) for name, curve in curves.items()}
    heights = [(math.log(net_bias(row)) - low) / (high - low) for row in ends.values()]
    for number, (name, place) in enumerate(zip(ends, spread(heights, 0.05), strict=True)):
        axes.annotate(
            name,
            xy=(ends[name]["std"], net_bias(ends[name])),
            xytext=(1.03, place),
            textcoords="axes fraction",
            color=f"C{number}",
            fontsize=8,
            va="center",
            arrowprops={"arrowstyle": "-", "color": f"C{number}", "linewidth": 0.5, "relpos": (0, 0.5)},
        )


def draw_strips(axes: Axes, families: dict[str, list[Row]], unit: float) -> None:
    """Draw one line per estimator, with a mark per number of samples and its cost evaluations above it."""
    families = dict(sorted(families.items(), key=lambda item: -min(row["std"] for row in item[1])))
    for height, family in enumerate(families.values()):
        x = [row["std"] for row in family]
        axes.plot(x, [height] * len(x), color="C7", linewidth=1, zorder=1)
        axes.scatter(x, [height] * len(x), [area(row, unit) for row in family], "C7", alpha=0.8)
        for row in family:
            text, above = str(row["evaluations"]), (0, 3 + math.sqrt(area(row, unit)) / 2)
            axes.annotate(text, (row["std"], height), above, textcoords="offset points", ha="center", fontsize=7)
    axes.set_yticks(range(len(families)), [name.replace(", ", "\n") for name in families], fontsize=8)
    axes.set(xlabel="std / |g| of one call", ylim=(-0.6, len(families) - 0.2))
    axes.set_title("unbiased, with the number of cost evaluations", fontsize=10)
    for ratio in (1, 4, 16):
        axes.scatter([], [], 20 * ratio, "C7", label=f"{ratio}x the time of {REFERENCE}")
    axes.legend(loc="upper right", fontsize=8, labelspacing=1.1)


def area(row: Row, unit: float) -> float:
    """Return the area of a mark, proportional to the time of a call."""
    return 20 * row["seconds"] / unit


def spread(heights: list[float], gap: float) -> list[float]:
    """Move heights apart to at least ``gap``, upwards and in their order, then down until none exceeds 1."""
    order = sorted(range(len(heights)), key=lambda i: heights[i])
    placed = list(heights)
    for before, after in pairwise(order):
        placed[after] = max(placed[after], placed[before] + gap)
    shift = max(0.0, placed[order[-1]] - 1.0)
    return [place - shift for place in placed]
