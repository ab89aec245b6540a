"""Plots of a run: its metrics over training, and how often each code is used."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from ..plots import BLUE, COLOURS, GREY, VERMILION, plot
from ..pretrained.paths import whole_file
from .metrics_file import read_metrics
from .quantities import QUANTITIES, title_of

Points = list[tuple[int, float]]  # (training batches, value)
ACROSS = 3  # panels in a row
FEW = 20  # points that are marked
DECADES = 10.0  # ratio of values from which their axis is logarithmic
STAGES = {"train": ("training", BLUE), "val": ("validation", VERMILION)}


def save_curves(metrics: Path, picture: Path) -> None:
    """Draw ``metrics.csv``, a panel for each quantity with training and validation in it.

    Quantities that do not change are left out. Nothing is drawn if none does.

    Args:
        metrics: log of a run.
        picture: file to write, .png, .pdf or .svg.
    """
    panels = _panels(metrics)
    if not panels:
        return
    last = max(1, *(step for stages in panels.values() for points in stages.values() for step, _ in points))
    across = min(ACROSS, len(panels))
    down = -(-len(panels) // across)
    with whole_file(picture) as file, plot(file, max(6.0, 4.0 * across), 0.8 + 3.0 * down, picture.suffix) as figure:
        axes = figure.subplots(down, across, squeeze=False).flatten()
        shown = {}
        for axis, (quantity, stages) in zip(axes, panels.items(), strict=False):
            for stage, points in stages.items():
                label, colour = STAGES[stage]
                marker = "o" if len(points) <= FEW else None
                shown[label] = axis.plot(*zip(*points, strict=True), color=colour, marker=marker, markersize=4)[0]
            title, unit = title_of(quantity)
            axis.set(title=title, ylabel=unit, xlim=(0, 1.02 * last))
            values = [value for points in stages.values() for _, value in points]
            if min(values) > 0 and max(values) > DECADES * min(values):
                axis.set_yscale("log")
                axis.yaxis.set_major_formatter("{x:g}")
        for axis in axes[len(panels) :]:
            axis.remove()
        figure.supxlabel("training batches")
        figure.legend(shown.values(), shown.keys(), loc="outside upper center", ncols=len(shown))


def _panels(metrics: Path) -> dict[str, dict[str, Points]]:
    """Series of a log by quantity, then by stage, without constant quantities; the known quantities first."""
    panels: dict[str, dict[str, Points]] = {}
    for key, points in read_metrics(metrics).items():
        stage, _, quantity = key.partition("/")
        if stage in STAGES and quantity:
            panels.setdefault(quantity, {})[stage] = points
    known = list(QUANTITIES)
    order = sorted(panels, key=lambda name: known.index(name) if name in known else len(known))
    return {name: panels[name] for name in order if not _constant(panels[name])}


def _constant(stages: Mapping[str, Points]) -> bool:
    """True for one value at several steps."""
    values = [value for points in stages.values() for _, value in points]
    return len(values) > 1 and min(values) == max(values)


def save_codebook_usage(counts: Tensor, picture: Path) -> None:
    """Draw the frequency of the codes of each codebook, most frequent first.

    Args:
        counts: occurrences of codes, ``q k``.
        picture: file to write.
    """
    share = 100 * counts.double() / counts.sum(-1, keepdim=True).clamp(min=1)
    used, (q, k) = (counts > 0).sum(-1).tolist(), counts.shape
    with whole_file(picture) as file, plot(file, 8, 4.5, picture.suffix) as figure:
        axis = figure.subplots()
        for number, codebook in enumerate(share.sort(-1, descending=True).values):
            label = f"codebook {number}, {used[number]} of {k} codes in use" if q > 1 else None
            axis.stairs(codebook.tolist(), fill=q == 1, label=label, color=COLOURS[number % len(COLOURS)])
        axis.axhline(100 / k, color=GREY, linestyle="--", label="if all were equally frequent")
        title = "Codes of the validation images" + (f": {used[0]} of {k} are in use" if q == 1 else "")
        axis.set(title=title, xlabel="codes, most frequent first", ylabel="share of all codes (%)", xlim=(0, k))
        axis.legend()
