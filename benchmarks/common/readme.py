"""Tables of the README that scripts write, each between two comments that name it."""

from __future__ import annotations

from pathlib import Path

README = Path(__file__).resolve().parents[2] / "README.md"


def with_table(text: str, name: str, table: str) -> str:
    """A text with ``table`` between ``<!-- name -->`` and ``<!-- /name -->``.

    Raises:
        ValueError: the comments are not there, once each and in this order.
    """
    start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    if text.count(start) != 1 or text.count(end) != 1 or text.index(start) > text.index(end):
        raise ValueError(f"README.md must have {start} and {end} once, in this order")
    before, after = text.partition(start)[0], text.partition(end)[2]
    return f"{before}{start}\n{table}\n{end}{after}"


def write_table(name: str, table: str) -> None:
    """Put a table into the README."""
    README.write_text(with_table(README.read_text(encoding="utf-8"), name, table), encoding="utf-8")
