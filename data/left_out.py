"""What a user's data have and a data set leaves out: in lines on the terminal, and in one line of the metadata."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from lightning.pytorch.utilities.rank_zero import rank_zero_only

from ..pretrained.untrusted import printable

SHOWN, NAMED = 20, 5  # lines on the terminal, and names in one line


@rank_zero_only
def tell(place: Path | str, left_out: Mapping[str, str]) -> None:
    """Name what is left out on the terminal, each in a line, up to a bound.

    Args:
        place: where it is.
        left_out: the reason for each name; an empty name is the place itself.
    """
    lines = [f"{name or place} ({why})" for name, why in left_out.items()]
    more = [f"{len(lines) - SHOWN:,} more in {place}"] if len(lines) > SHOWN else []
    for line in [*lines[:SHOWN], *more]:
        print(printable(f"left out: {line}"), file=sys.stderr)


def summary(left_out: Mapping[str, str], kind: str = "files") -> str:
    """Return the number of files, or of another kind, that are left out, and the first of them; empty without any."""
    named = [f"{name} ({why})" for name, why in left_out.items()]
    return printable(f"{len(named):,} {kind}: {some(named)}") if named else ""


def some(names: Sequence[str]) -> str:
    """Name a few of several, and count the others."""
    rest = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + rest
