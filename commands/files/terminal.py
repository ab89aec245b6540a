"""Sampled text as lines of a file, a pipe or a terminal; and progress on a terminal."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

from ...pretrained.untrusted import printable

P = TypeVar("P", bound=Sized)
DELAY = 1.0  # seconds until a bar is shown
CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")  # all but the tab


def as_line(sentence: str) -> str:
    """Replace line ends and controls, which no text that is trained on has; every other character is kept."""
    return CONTROL.sub("\N{REPLACEMENT CHARACTER}", sentence)


def show(sentences: Iterable[str]) -> None:
    """Print one sentence a line: on a terminal without what it would obey, elsewhere as a file has them."""
    shown = printable if sys.stdout.isatty() else as_line
    for sentence in sentences:
        print("\t".join(map(shown, sentence.split("\t"))))
    sys.stdout.flush()


def with_progress(parts: Iterable[P], total: int, unit: str) -> Iterator[P]:
    """Yield ``parts``; after a second, a bar on a terminal tells how many of ``total`` are done.

    Args:
        parts: of things with a length.
        total: sum of their lengths.
        unit: what is counted, as a plural.
    """
    from tqdm import tqdm

    with tqdm(total=total, unit=f" {unit}", disable=None, leave=False, delay=DELAY) as bar:
        for part in parts:
            yield part
            bar.update(len(part))
