"""Tables of text: a line per row, numbers to the right."""

from __future__ import annotations

from collections.abc import Sequence

from ...pretrained.untrusted import printable

MISSING = "-"
LONGEST = 60  # characters of a cell


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return aligned columns; a column of numbers is aligned to the right, and one without any text is left out."""
    cells = [[_shorten(printable(cell)) for cell in row] for row in (heads, *rows)]
    columns = [column for column in zip(*cells, strict=True) if any(column[1:])]
    lines = zip(*(_align(column) for column in columns), strict=True)
    return "\n".join("  ".join(line).rstrip() for line in lines)


def number(value: float | None, digits: int = 4) -> str:
    """Return a number with so many decimals, a tiny or huge one in scientific notation, and a dash for None."""
    if value is None:
        return MISSING
    return f"{value:.{digits}f}" if value == 0 or 10**-digits <= abs(value) < 1e7 else f"{value:.{digits}g}"


def age(seconds: float) -> str:
    """Return a time span in one rounded unit, such as ``5 min``."""
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


def _align(column: Sequence[str]) -> list[str]:
    width = max(map(len, column))
    right = all(cell in ("", MISSING) or cell.lstrip("-").replace(".", "", 1)[:1].isdigit() for cell in column[1:])
    return [cell.rjust(width) if right else cell.ljust(width) for cell in column]


def _shorten(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."
