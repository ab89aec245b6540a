"""Growth of time and peak memory over three decades of sizes, and whether it is that of the mathematics.

    python benchmarks/speed/growth.py [--parts rows classes ...] [--decades 3] [--out runs/growth.json]

It measures the steps of ``growth_cases.py`` one size at a time, in processor time on one thread, and writes
``growth.md`` with a picture per part. Finished sizes are kept in ``--out``, so an interrupted run resumes; figures of
another machine or version in it are refused.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from gumbelzoo.benchmarks.common.measure import describe_machine, now, peak_memory
from gumbelzoo.benchmarks.common.pages import markdown_table, write_page
from gumbelzoo.benchmarks.speed.growth_cases import PARTS, Curve, Part
from gumbelzoo.benchmarks.speed.growth_steps import Step
from gumbelzoo.plots import COLOURS, GREY, MARKERS, plot
from gumbelzoo.pretrained.paths import whole_file
from matplotlib.axes import Axes
from tqdm import tqdm

TURNS, SECONDS = 5, 2.0  # most turns of a size, and most seconds
SHORTEST = 0.01  # seconds of a turn, so that the clock's own steps do not matter
TOLERANCE = 0.15  # of an exponent
Figures = dict[int, tuple[float, float]]  # seconds and bytes by size
HEADER = ["", "time, all sizes", "time, last decade", "mathematics", "memory, last decade", "mathematics"]
HEADER += ["smallest: ms, MiB", "largest: ms, MiB", "faster than its mathematics"]


def measure(step: Step) -> tuple[float, float]:
    """Return the median seconds of a step, and the bytes at its peak."""
    step()
    start = now()
    step()
    calls = max(1, int(SHORTEST / max(now() - start, 1e-7)))
    turns: list[float] = []
    while len(turns) < TURNS and sum(turns) * calls < SECONDS:
        start = now()
        for _ in range(calls):
            step()
        turns.append((now() - start) / calls)
    return statistics.median(turns), float(peak_memory(step))


class Record:
    """Finished sizes in a JSON file.

    Args:
        path: the file.
        machine: processor and versions; ValueError if the file has those of another one.
    """

    def __init__(self, path: Path, machine: str) -> None:
        self.path = path
        self.known: dict[str, Any] = {"machine": machine, "figures": {}}
        if path.exists():
            self.known = json.loads(path.read_text(encoding="utf-8"))
            if self.known["machine"] != machine:
                raise ValueError(f"{path} has figures of {self.known['machine']}: give another --out, or remove it")

    def figures(self, key: str, step: Callable[[], Step]) -> tuple[float, float]:
        """Return the figures of a key; what is missing is measured with ``step()`` and written."""
        if key not in self.known["figures"]:
            self.known["figures"][key] = measure(step())
            with whole_file(self.path) as file:
                file.write(json.dumps(self.known, indent=1).encode())
        seconds, size = self.known["figures"][key]
        return seconds, size


def exponent(sizes: Sequence[int], values: Sequence[float]) -> float:
    """Return the slope of a line through the logarithms; 0 where a value is 0."""
    if min(values) <= 0 or len(sizes) < 2:
        return 0.0
    x, y = ([math.log(v) for v in values] for values in (sizes, values))
    return statistics.linear_regression(x, y).slope


def last_decade(figures: Figures) -> list[int]:
    """Return the sizes from a tenth of the largest on."""
    return [size for size in figures if 10 * size >= max(figures)]


def row(name: str, curve: Curve, figures: Figures) -> list[str]:
    """Return a row of a part's table."""
    last = last_decade(figures)
    whole, time, memory = (
        exponent(sizes, [figures[size][column] for size in sizes])
        for sizes, column in ((list(figures), 0), (last, 0), (last, 1))
    )
    faster = [
        f"{kind} {found - power:+.2f}"
        for kind, found, power in (("time", time, curve.time), ("memory", memory, curve.memory))
        if found > power + TOLERANCE
    ]
    ends = [f"{1e3 * figures[n][0]:.3g}, {figures[n][1] / 2**20:.3g}" for n in (min(figures), max(figures))]
    numbers = [f"{whole:.2f}", f"{time:.2f}", f"{curve.time:g}", f"{memory:.2f}", f"{curve.memory:g}"]
    return [name, *numbers, *ends, ", ".join(faster) or "no"]


def draw(axis: Axes, part: Part, curves: Mapping[str, Figures], column: int, unit: float, label: str) -> None:
    """Draw seconds or bytes over the size, and the slope of the steepest mathematics as a dashed line."""
    for (name, figures), colour, marker in zip(curves.items(), COLOURS, MARKERS, strict=False):
        values = [max(figures[size][column] / unit, 1e-6) for size in figures]
        axis.plot(list(figures), values, color=colour, marker=marker, markersize=5, label=name)
    steepest = max((curve.time, curve.memory)[column] for curve in part.curves.values())
    sizes = sorted({size for figures in curves.values() for size in figures})
    top = max(figures[max(figures)][column] / unit for figures in curves.values())
    line = [2 * top * (size / sizes[-1]) ** steepest for size in sizes]
    axis.plot(sizes, line, color=GREY, linestyle="--", label=f"slope {steepest:g}" if column == 0 else None)
    axis.set(xscale="log", yscale="log", xlabel=part.size, ylabel=label)


def picture(path: Path, part: Part, curves: Mapping[str, Figures]) -> None:
    """Draw a part."""
    with plot(path, 11, 5.5) as figure:
        left, right = figure.subplots(1, 2)
        draw(left, part, curves, 0, 1e-3, "processor time of a step, ms")
        draw(right, part, curves, 1, 2.0**20, "peak memory of a step, MiB")
        figure.suptitle(f"{part.title}: time and memory")
        figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=3)


NOTES = f"""\
A step is forward and backward pass (`codes` and `sampling`: forward only), in processor time on one thread, the median
of at most {TURNS} turns. Memory is the peak of a step, without its arguments. An exponent is the slope of the logarithm
of time or memory over the logarithm of the size: over all sizes it includes the constant cost of a call, so the one
over the last decade is compared with the mathematics. "Faster" is an exponent more than {TOLERANCE} above it. The
dashed line of a picture has the slope of the steepest mathematics on it. A jump where the data leave a cache looks like
a larger exponent, for PyTorch's own functions too."""


def statement(rows: Sequence[Sequence[str]]) -> str:
    """Return one sentence on what grows faster than its mathematics."""
    faster = [f"`{cells[0]}` ({cells[-1]})" for cells in rows if cells[-1] != "no"]
    return f"Faster than that: {', '.join(faster)}." if faster else "Nothing grows faster than that."


def main() -> None:
    """Measure what is missing, and write page and pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="default: all")
    parser.add_argument("--decades", type=int, choices=(1, 2, 3), default=3, help="from the smallest size (default: 3)")
    parser.add_argument("--out", type=Path, default=Path("runs/growth.json"), help="file of finished sizes")
    options = parser.parse_args()
    torch.set_num_threads(1)
    machine = describe_machine()
    record, page = Record(options.out, machine.rpartition(";")[0]), Path(__file__)
    cases = [
        (key, name, size)
        for key in options.parts
        for name in PARTS[key].curves
        for size in PARTS[key].sizes(options.decades)
    ]
    found: dict[str, dict[str, Figures]] = {}
    for key, name, size in tqdm(cases, desc="sizes", disable=None):
        curve = PARTS[key].curves[name]
        figures = record.figures(f"{key}/{name}/{size}", partial(curve.step, size))
        found.setdefault(key, {}).setdefault(name, {})[size] = figures
    parts = ["# Growth of time and memory", machine, NOTES]
    if options.decades < 3:
        decades = f"**A short run**, of {options.decades} of three decades"
        parts += [f"{decades}: constant costs hide the growth at these sizes."]
    for key, curves in found.items():
        part = PARTS[key]
        rows = [row(name, part.curves[name], figures) for name, figures in curves.items()]
        image = page.with_name(f"growth_{key}.png")
        picture(image, part, curves)
        sizes = sorted({size for figures in curves.values() for size in figures})
        parts += [f"## {part.title}", f"{part.mathematics} {statement(rows)} Sizes {sizes[0]:,} to {sizes[-1]:,}."]
        parts += [markdown_table(HEADER, rows), f"![{part.title}: time and memory]({image.name})"]
    write_page(__file__, parts)


if __name__ == "__main__":
    main()
