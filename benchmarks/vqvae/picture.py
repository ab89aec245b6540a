"""Rate and distortion of the quantizers, from the table of ``vqvae_quantizers.md``."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from gumbelzoo.benchmarks.common.pages import read_tables
from gumbelzoo.plots import COLOURS, MARKERS, plot
from matplotlib.axes import Axes

PAIR = " 2 x "  # in the name of a row with two codebooks; its perplexity is their average


def draw(page: str, path: Path) -> None:
    """Draw the rows of the page's table.

    Args:
        page: text of ``vqvae_quantizers.md``.
        path: file to write.
    """
    (rows,) = read_tables(page).values()
    rates = [float(row["rate"]) for row in rows]
    entropies = [(1 + (PAIR in row["quantizer"])) * math.log(float(row["perplexity"])) for row in rows]
    with plot(path, 11, 5.6) as figure:
        left, right = figure.subplots(1, 2, sharex=True, sharey=True)
        _draw_points(left, rates, rows)
        _draw_points(right, entropies, rows)
        left.set(title="rate in the objective", ylabel="NMSE: squared error / variance of the pixels")
        right.set(title="entropy of the frequencies of the codes")
        for axis in (left, right):
            axis.set_xlabel("nats per position")
        figure.suptitle("Rate and distortion of quantizers in one VQ-VAE on MNIST; left and down is better")
        figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=10)


def _draw_points(axis: Axes, across: Sequence[float], rows: Sequence[Mapping[str, str]]) -> None:
    """Draw one mark for each row, its colour and shape the same in every panel."""
    for number, (x, row) in enumerate(zip(across, rows, strict=True)):
        turn, place = divmod(number, len(COLOURS))
        face = "white" if turn else COLOURS[place]
        axis.plot(
            x, float(row["NMSE"]), MARKERS[place], color=COLOURS[place], markerfacecolor=face, markersize=9,
            markeredgewidth=1.8, label=row["quantizer"],
        )  # fmt: skip
