"""Picture of ``estimators.py``, from the tables of its page: gradients over temperature, all estimators compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path

from gumbelzoo.benchmarks.common.pages import read_tables
from gumbelzoo.models.relaxed import ESTIMATORS
from gumbelzoo.plots import BLUE, COLOURS, MARKERS, VERMILION, plot
from matplotlib.axes import Axes

METRICS = {  # title and label of the panel by the name of the table
    "Net bias": ("bias", "|mean - exact| / |exact|"),
    "Std": ("noise of one call", "standard deviation / |exact|"),
    "Cosine of 100 evaluations": ("closeness at equal cost", "cosine to the exact gradient"),
}
LEFT_OUT = (
    "gumbel_rao, inner_samples=1",
    "gumbel_rao, inner_samples=10",
)  # as straight-through Gumbel-Softmax; between
TICKS = (0.1, 0.3, 0.5, 1.0, 1.5)


def draw(page: str, setup: str, path: Path) -> None:
    """Draw a set-up.

    Args:
        page: text of ``estimators.md``.
        setup: name of a section with a table of all estimators.
        path: file to write.
    """
    tables = read_tables(page)
    rows = tables[setup]
    with plot(path, 11, 5.9 + 0.27 * len(rows)) as figure:
        upper, lower = list(figure.subfigures(2, 1, height_ratios=(5.2, 0.7 + 0.27 * len(rows)), squeeze=False).flat)
        panels = upper.subplots(1, len(METRICS))
        looks = dict(zip(_names(tables[f"{setup}, over temperature/Net bias"]), _looks(), strict=False))
        for axis, (name, (title, label)) in zip(panels, METRICS.items(), strict=True):
            draw_temperatures(axis, tables[f"{setup}, over temperature/{name}"], looks)
            axis.set(title=title, ylabel=label)
        upper.suptitle("Biased gradients over the temperature (hollow: at most so much)")
        upper.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=10)
        draw_ranking(lower.subplots(), rows)


def draw_temperatures(axis: Axes, rows: Sequence[Mapping[str, str]], looks: Mapping[str, tuple[str, str]]) -> None:
    """Draw one metric, a line for each estimator; a hollow mark is an upper limit."""
    for row in rows:
        name, *cells = row.values()
        if name not in looks:
            continue
        colour, marker = looks[name]
        temperatures = [float(temperature) for temperature in list(row)[1:]]
        values = [float(cell.removeprefix("< ")) for cell in cells]
        axis.plot(temperatures, values, color=colour, marker=marker, markersize=5, label=name)
        limits = [pair for *pair, cell in zip(temperatures, values, cells, strict=True) if cell.startswith("<")]
        if limits:
            axis.plot(*zip(*limits, strict=True), marker, color=colour, markerfacecolor="white", markersize=5, zorder=3)
    axis.set(xscale="log", xlabel="temperature")
    axis.set_xticks(TICKS, [f"{tick:g}" for tick in TICKS])
    axis.minorticks_off()


def draw_ranking(axis: Axes, rows: Sequence[Mapping[str, str]]) -> None:
    """Draw the cosine of 100 evaluations of every estimator, at its best temperature, the best one on top."""
    names = [_full_name(row) for row in rows]
    cosines = [float(row["cosine of 100 evaluations"]) for row in rows]
    unbiased = [ESTIMATORS[row["estimator"].partition(",")[0]].unbiased for row in rows]
    for flag, colour, label in ((True, VERMILION, "unbiased gradient"), (False, BLUE, "biased gradient")):
        chosen = [number for number, found in enumerate(unbiased) if found == flag]
        axis.barh(chosen, [cosines[number] for number in chosen], 0.7, color=colour, label=label)
    for number, row in enumerate(rows):
        count = int(row["evaluations"])
        text = f"{count:,} evaluation{'s' * (count > 1)} a call"
        axis.annotate(
            text, (max(cosines[number], 0.0), number), (4, 0), textcoords="offset points", va="center", fontsize=8
        )
    axis.set_yticks(range(len(rows)), names, fontsize=9)
    axis.set(ylim=(len(rows) - 0.4, -0.6), xlim=(min(0.0, *cosines) - 0.02, 1.18))
    axis.set_xlabel("cosine to the exact gradient when 100 evaluations of the cost are averaged; 1 is exact")
    axis.set_title("All estimators at equal cost, each at its best measured temperature")
    axis.legend(loc="lower right")


def _full_name(row: Mapping[str, str]) -> str:
    """Name of a row with its temperature."""
    name, learned, _ = row["estimator"].partition(", temperature=learned")
    temperature = f", {'learned ' if learned else ''}temperature {row['temperature']}"
    return name + (temperature if row["temperature"] else "")


def _names(rows: Sequence[Mapping[str, str]]) -> list[str]:
    return [name for row in rows if (name := row["estimator"]) not in LEFT_OUT]


def _looks() -> cycle[tuple[str, str]]:
    return cycle(zip(COLOURS, MARKERS, strict=True))
