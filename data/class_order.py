"""Order of the classes of labels that are text."""

from __future__ import annotations

from collections.abc import Iterable

LONGEST = 18  # digits of a number; a longer one is a name


def ordered(labels: Iterable[str]) -> list[str]:
    """Return each label once: in the order of numbers if all are whole numbers from 0, else in that of letters."""
    names = set(labels)
    numbers = all(name.isdecimal() and len(name) <= LONGEST for name in names)
    return sorted(names, key=lambda name: (int(name), name) if numbers else (0, name))
