"""The plane that text GANs on an oracle are compared in: NLL_test across, NLL_oracle upwards, both lower is better.

A model that repeats one good sentence is low and far to the right. One that samples every word by its frequency is
high. Changing the sampling temperature moves any model along a curve. So a training method is better than another only
where its curve lies below the other's at equal NLL_test (Caccia et al. 2020, arXiv:1811.02549).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path

from ..plots import BLACK, GREY, MARKERS, plot
from .published import CURVES, REFERENCE_POINTS, Point


def draw_plane(
    curves: Mapping[str, Sequence[Point]],
    path: str | Path,
    published: Mapping[str, Sequence[Point]] = CURVES,
    references: Mapping[str, tuple[float, float | None]] = REFERENCE_POINTS,
) -> Path:
    """Draw temperature sweeps.

    Args:
        curves: points (NLL_oracle, NLL_test) in nats per token, in the order of the temperatures, by name.
        path: picture file; its ending is a format of matplotlib.
        published: curves to compare with, drawn in grey.
        references: single points; a horizontal line where NLL_test is None.

    Raises:
        ValueError: a curve without points.
    """
    if empty := [name for name, points in curves.items() if not points]:
        raise ValueError(f"the curve '{empty[0]}' has no points")
    with plot(Path(path), 9, 6.5) as figure:
        axes = figure.add_subplot()
        for (name, points), dash in zip(published.items(), cycle(("-", "--", ":", "-.")), strict=False):
            axes.plot(*_across_and_up(points), dash, marker=".", color=GREY, label=name)
        for (name, points), marker in zip(curves.items(), cycle(MARKERS), strict=False):
            axes.plot(*_across_and_up(points), marker=marker, label=name)
        for name, (oracle, test) in references.items():
            if test is None:
                axes.axhline(oracle, color=BLACK, linewidth=0.5)
                axes.text(0.01, oracle, name, transform=axes.get_yaxis_transform(), va="bottom", fontsize="small")
            else:
                axes.plot([test], [oracle], "*", color=BLACK, markersize=10)
                axes.text(test, oracle, f"   {name}", va="center", fontsize="small")
        axes.set_title("Text models on the oracle, over the sampling temperature")
        axes.set_xlabel("NLL_test of held-out sentences (nats per token); lower is better")
        axes.set_ylabel("NLL_oracle of samples (nats per token); lower is better")
        axes.legend(fontsize="small")
    return Path(path)


def _across_and_up(points: Sequence[Point]) -> tuple[list[float], list[float]]:
    return [test for _, test in points], [oracle for oracle, _ in points]
