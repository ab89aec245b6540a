"""Picture of the leaderboard, from its record: means with standard errors, single seeds, published values."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from gumbelzoo.benchmarks.leaderboard.table import PUBLISHED, Record
from gumbelzoo.models.relaxed import ESTIMATORS
from gumbelzoo.plots import BLACK, BLUE, GREY, VERMILION, plot
from matplotlib.axes import Axes

KINDS = {  # colour and marker by whether the estimator is unbiased
    False: ("biased gradient", BLUE, "o"),
    True: ("unbiased gradient", VERMILION, "s"),
    None: ("continuous latents, no estimator", BLACK, "D"),
}


def draw(sections: Mapping[str, Record], path: Path) -> None:
    """Draw the recorded rows.

    Args:
        sections: records by the title of their panel.
        path: file to write.
    """
    sizes = [len(record) for record in sections.values()]
    with plot(path, 9.5, 1.6 + 0.3 * sum(sizes) + 0.6 * len(sizes)) as figure:
        axes = figure.subplots(len(sizes), 1, sharex=True, height_ratios=[size + 1 for size in sizes], squeeze=False)
        for axis, (title, record) in zip(axes[:, 0], sections.items(), strict=True):
            _draw_rows(axis, record)
            axis.set_title(title, loc="left")
        axes[-1, 0].set_xlabel("bound on -log p(x) of test images, m = 1000 (nats); lower is better")
        for label, colour, marker in KINDS.values():
            axes[0, 0].errorbar([], [], xerr=[], fmt=marker, color=colour, label=f"{label}: mean, standard error")
        axes[0, 0].plot([], [], "|", color=GREY, label="single seeds")
        axes[0, 0].plot([], [], "D", color=GREY, markerfacecolor="none", label="Jang et al. 2017, another network")
        figure.suptitle("VAEs with categorical latents on MNIST, trained by different gradient estimators")
        figure.legend(loc="outside lower center", ncols=2)


def _draw_rows(axis: Axes, record: Record) -> None:
    """Draw one line for each row, the best bound on top."""
    bounds = {name: [run["bound"] for run in entry["seeds"].values()] for name, entry in record.items()}
    order = sorted(record, key=lambda name: statistics.mean(bounds[name]))
    for height, name in enumerate(order):
        estimator = record[name]["choice"]["estimator"]
        _, colour, marker = KINDS[ESTIMATORS[estimator].unbiased if estimator else None]
        axis.plot(bounds[name], [height] * len(bounds[name]), "|", color=GREY, markersize=9, zorder=1)
        axis.errorbar(
            statistics.mean(bounds[name]), height, xerr=_standard_error(bounds[name]), fmt=marker, color=colour,
            markersize=5, capsize=3,
        )  # fmt: skip
        if name in PUBLISHED:
            axis.plot(float(PUBLISHED[name]), height, "D", color=GREY, markerfacecolor="none", markersize=5)
    axis.set_yticks(range(len(order)), order, fontsize=9)
    axis.set_ylim(len(order) - 0.4, -0.6)


def _standard_error(values: Sequence[float]) -> float | None:
    """Standard error of the mean; None of one value."""
    return statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else None
