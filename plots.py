"""Style of all plots, and their files: the same data give the same bytes, without dates and places.

The colours are those of Okabe and Ito (2008), which colour-blind readers can tell apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BLUE, VERMILION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
ORANGE, SKY, BLACK, GREY = "#E69F00", "#56B4E9", "#000000", "#767676"  # grey for yellow, which is pale on white
COLOURS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, BLACK, GREY)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")  # a second cue beside the colour
FORMATS = (".png", ".pdf", ".svg")
DPI = 150
STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib
    "font.size": 11,
    "axes.titlesize": 12,
    "figure.titlesize": 14,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "0.9",
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "pdf.fonttype": 42,  # text stays text
    "svg.hashsalt": "gumbelzoo",  # names of parts are random otherwise
}
NO_METADATA: dict[str, dict[str, None]] = {
    "png": {"Software": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    "svg": {"Date": None, "Creator": None},
}


@contextmanager
def plot(
    target: Path | IO[bytes], width: float | int = 8, height: float | int = 5, ending: str | None = None
) -> Iterator[Figure]:
    """Give an empty figure in the style of all plots, and write it when the block ends.

    Args:
        target: file to write, by its path or open.
        width: inches, of ``DPI`` pixels.
        height: inches.
        ending: one of ``FORMATS``; by default that of the path.
    """
    import matplotlib
    from cycler import cycler
    from matplotlib.figure import Figure

    form = (ending or Path(str(target)).suffix).lower().removeprefix(".")
    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # whatever the reader's own settings
        matplotlib.rcParams.update({**STYLE, "axes.prop_cycle": cycler(color=COLOURS)})
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure
        figure.savefig(target, format=form, dpi=DPI, metadata=NO_METADATA[form])


def spread_out(values: Sequence[float], gap: float) -> list[float]:
    """Move numbers as little as possible (in squares), so that in their order they are ``gap`` apart: for labels."""
    order = sorted(range(len(values)), key=lambda i: values[i])
    blocks: list[tuple[float, int]] = []  # means of neighbours that touch, and their number
    for rank, i in enumerate(order):
        mean, size = values[i] - gap * rank, 1
        while blocks and blocks[-1][0] > mean:
            before, n = blocks.pop()
            mean, size = (mean * size + before * n) / (size + n), size + n
        blocks.append((mean, size))
    level = [mean for mean, size in blocks for _ in range(size)]
    moved = [0.0] * len(values)
    for rank, i in enumerate(order):
        moved[i] = level[rank] + gap * rank
    return moved
