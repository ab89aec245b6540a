"""Layout of what ``list`` and ``--help`` print: options with their types and defaults, paragraphs, words."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable

from .entries import Option

WIDTH = 100


def option_lines(options: Iterable[Option], prefix: str = "") -> list[str]:
    """Return the lines of options, each with type, default and documentation; ``prefix`` comes before their names."""
    lines = []
    for option in options:
        kind = f": {option.type}" if option.type else ""
        lines += [f"  {prefix}{option.name}{kind}{_remarks(option)}", *wrap(option.documentation, " " * 6)]
    return lines


def wrap(text: str, indent: str) -> list[str]:
    """Return the lines of a paragraph, the first after ``indent``, the others as far to the right."""
    return textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=" " * len(indent))


def word(kind: str) -> str:
    """Return a kind as one word of the command line."""
    return kind.replace(" ", "-")


def _remarks(option: Option) -> str:
    """The default of an option, and the kind of part that it chooses; a group of options has defaults of its own."""
    default = "" if option.default is None else f" = {option.default}"
    if not option.part:
        return default
    article = "an" if option.part[0] in "aeiou" else "a"
    own = re.match(r"[A-Z](?!one\b)", option.default or "")
    return f"{'' if own else default}  ({article} {option.part}, see `list {word(option.part)}`)"
