"""Markdown pages: tables, the page next to a script, and tables between two comments of another page."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def mean_and_error(values: Sequence[float], digits: int) -> str:
    """Format mean and standard error; one value has no error, no values are an empty text."""
    if not values:
        return ""
    error = f" ± {statistics.stdev(values) / len(values) ** 0.5:.{digits}f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.{digits}f}{error}"


def exceeds_two_errors(gains: Sequence[float]) -> bool:
    """Whether the mean of two or more values exceeds 0 by more than two standard errors."""
    return statistics.mean(gains) > 2 * statistics.stdev(gains) / len(gains) ** 0.5


def difference(values: Sequence[float], others: Sequence[float]) -> tuple[float, float]:
    """Return the difference of two means, and its standard error; both have two values or more."""
    error = sum(statistics.variance(found) / len(found) for found in (values, others)) ** 0.5
    return statistics.mean(values) - statistics.mean(others), error


def goal_mark(is_reached: bool) -> str:
    """Return the words after a goal that is reached, or not."""
    return "Reached." if is_reached else "**Not reached.**"


def markdown_row(cells: Sequence[str]) -> str:
    """Format a row of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Format a Markdown table."""
    return "\n".join(map(markdown_row, [header, ["---"] * len(header), *rows]))


def write_page(script: str, parts: Sequence[str]) -> None:
    """Print a page of Markdown, and write it next to the script that made it."""
    text = "\n\n".join(parts) + "\n"
    Path(script).with_suffix(".md").write_text(text, encoding="utf-8")
    print(text)


def insert_table(text: str, name: str, table: str) -> str:
    """Return a page with ``table`` between ``<!-- name -->`` and ``<!-- /name -->``.

    Raises:
        ValueError: the page does not have both comments once, in this order.
    """
    start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    if text.count(start) != 1 or text.count(end) != 1 or text.index(start) > text.index(end):
        raise ValueError(f"the page must have {start} and {end} once, in this order")
    before, after = text.partition(start)[0], text.partition(end)[2]
    return f"{before}{start}\n{table}\n{end}{after}"


def write_table(page: str, name: str, table: str) -> None:
    """Insert a table into a page of the project; errors are those of ``insert_table``.

    Args:
        page: file, from the project's root, such as ``docs/releases.md``.
        name: text of the comments around the table.
        table: in Markdown.
    """
    path = ROOT / page
    path.write_text(insert_table(path.read_text(encoding="utf-8"), name, table), encoding="utf-8")


def read_tables(page: str) -> dict[str, list[dict[str, str]]]:
    """Return the tables of a page by section, rows by column; one below a line with a colon is ``section/line``.

    So a page is the record of what was measured, and its pictures are made from it.
    """
    tables: dict[str, list[dict[str, str]]] = {}
    section = line = ""
    header: list[str] = []
    for text in page.splitlines():
        cells = [cell.strip() for cell in text.strip("| ").split("|")] if text.startswith("|") else []
        if text.startswith("#"):
            section, line = text.lstrip("# "), ""
        elif text and not cells:
            line = text[:-1] if text.endswith(":") else ""
        if not cells:
            header = []
        elif not header:
            header = cells
        elif set(cells) != {"---"}:
            row = [cell.strip() for cell in text.removeprefix("|").removesuffix("|").split("|")]
            tables.setdefault(f"{section}/{line}" if line else section, []).append(dict(zip(header, row, strict=True)))
    return tables
