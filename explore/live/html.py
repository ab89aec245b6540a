"""Pieces of HTML, as pure functions: pictures inside the page, bars, points of a simplex, curves, and sentences.

Colours are those of all our plots, or the page's own, which follow the light or dark setting of the system. Text of a
model's vocabulary is foreign, and escaped.
"""

from __future__ import annotations

import base64
import html
import io
import math
from collections.abc import Mapping, Sequence

from PIL import Image
from torch import Tensor

from ...plots import BLUE, COLOURS, VERMILION
from ...pretrained.untrusted import printable

HEIGHT, WIDTH, MARGIN = 220, 320, 34  # of a drawing, in its own units
CORNERS = ((0.0, 0.0), (1.0, 0.0), (0.5, math.sqrt(3) / 2))


def text(value: object) -> str:
    """Return a value as text between tags or in quotes."""
    return html.escape(printable(str(value)))


def sentence(value: str, alert: bool = False) -> str:
    """Return a paragraph; an alert is read out by a screen reader."""
    return f'<p role="{"alert" if alert else "status"}" class="gz-{"alert" if alert else "note"}">{text(value)}</p>'


def picture(figure: Tensor, description: str, wide: bool = False) -> str:
    """Return a picture ``c H W`` in [0, 1], in the page itself and with its description; a wide one may be scrolled."""
    image = f'<img class="gz-picture" alt="{text(description)}" src="{data_url(figure)}">'
    return f'<div class="gz-wide" tabindex="0">{image}</div>' if wide else image


def data_url(figure: Tensor) -> str:
    """Return a picture ``c H W`` in [0, 1] as the address of a PNG that holds it."""
    levels = (figure.detach().float().cpu().clamp(0, 1) * 255).round().byte()
    levels = levels.expand(3, -1, -1) if levels.shape[0] == 1 else levels
    file = io.BytesIO()
    Image.fromarray(levels.permute(1, 2, 0).contiguous().numpy()).save(file, format="PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def bars(title: str, rows: Sequence[str], series: Mapping[str, Sequence[float]], largest: float = 1.0) -> str:
    """Return a table with a bar for each number: one row per category, one column per series.

    Args:
        title: caption of the table.
        rows: names of the categories.
        series: numbers of each column by its name, in two colours by turns.
        largest: magnitude of the longest bar.
    """
    head = "".join(f'<th scope="col">{text(name)}</th>' for name in series)
    signed = any(value < 0 for values in series.values() for value in values)
    body = ""
    for number, row in enumerate(rows):
        cells = "".join(
            _bar(values[number], largest, COLOURS[column % 2], signed) for column, values in enumerate(series.values())
        )
        body += f'<tr><th scope="row">{text(row)}</th>{cells}</tr>'
    return (
        f'<div class="gz-wide"><table class="gz-bars"><caption>{text(title)}</caption>'
        f"<thead><tr><td></td>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _bar(value: float, largest: float, colour: str, signed: bool) -> str:
    """Cell with a number and its bar, from the left or, beside negative numbers, from the middle."""
    share = min(1.0, abs(value) / largest) if largest > 0 and math.isfinite(value) else 0.0
    zero, length = (50.0, 50.0 * share) if signed else (0.0, 100.0 * share)
    first, last = (zero - length, zero) if value < 0 else (zero, zero + length)
    stops = f"transparent {first:.1f}%,{colour} 0 {last:.1f}%,transparent 0"
    return (
        f'<td><span class="gz-bar" style="background-image:linear-gradient(to right,{stops})"></span>'
        f'<span class="gz-number">{value:.3g}</span></td>'
    )


def simplex(soft: Tensor, hard: Tensor) -> str:
    """Return the triangle of three categories with relaxed draws and straight-through ones, ``d 3`` each."""
    size = HEIGHT - 2 * MARGIN
    corners = [(MARGIN + x * WIDTH * 0.7 + 14, HEIGHT - MARGIN - y * size * 2 / math.sqrt(3)) for x, y in CORNERS]
    names = "".join(
        f'<text x="{x:.0f}" y="{y + (-8 if number == 2 else 18):.0f}" text-anchor="middle">category {number + 1}</text>'
        for number, (x, y) in enumerate(corners)
    )
    points = "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{BLUE}" opacity="0.6"/>' for x, y in _inside(soft, corners)
    )
    ends = hard.mean(0).tolist()
    rings = "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{3 + 9 * share:.1f}" fill="none" stroke="{VERMILION}" stroke-width="3"/>'
        for share, (x, y) in zip(ends, corners, strict=True)
        if share
    )
    edges = " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)
    drawing = f'<polygon points="{edges}" fill="none" stroke="currentColor"/>{points}{rings}{names}'
    return _drawing(drawing, f"{len(soft)} draws on the simplex: points relaxed, rings straight-through")


def _inside(points: Tensor, corners: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Places of points ``d 3`` in the triangle."""
    return [
        (
            sum(weight * x for weight, (x, _) in zip(row, corners, strict=True)),
            sum(weight * y for weight, (_, y) in zip(row, corners, strict=True)),
        )
        for row in points.tolist()
    ]


def curve(counts: Sequence[int], values: Sequence[float], expected: Sequence[float], description: str) -> str:
    """Return values against counts, both on log scales, and in grey what noise alone would give."""
    logs = [math.log10(max(value, 1e-12)) for value in (*values, *expected)]
    low, high = math.floor(min(logs)), math.ceil(max(logs) + 1e-9)
    high = max(high, low + 1)
    last = math.log2(max(counts[-1], 2))

    def place(count: int, value: float) -> str:
        x = MARGIN + 12 + (WIDTH - 2 * MARGIN) * math.log2(max(count, 1)) / last
        y = HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * (math.log10(max(value, 1e-12)) - low) / (high - low)
        return f"{x:.1f},{y:.1f}"

    lines = "".join(
        f'<polyline points="{" ".join(map(place, counts, row))}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>'
        for row, colour, dash in ((expected, "currentColor", ' stroke-dasharray="4 4"'), (values, BLUE, ""))
    )
    ticks = "".join(
        f'<text x="{MARGIN + 8}" y="{HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * (power - low) / (high - low) + 4:.0f}" '
        f'text-anchor="end">1e{power}</text>'
        for power in range(low, high + 1)
    )
    axis = (
        f'<text x="{MARGIN + 12}" y="{HEIGHT - 12}">1 draw</text>'
        f'<text x="{WIDTH - MARGIN + 12}" y="{HEIGHT - 12}" text-anchor="end">{counts[-1]:,} draws</text>'
    )
    return _drawing(lines + ticks + axis, description)


def _drawing(content: str, description: str) -> str:
    return (
        f'<figure class="gz-figure"><svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{text(description)}">'
        f"{content}</svg><figcaption>{text(description)}</figcaption></figure>"
    )
