"""Classes on the command line: by number, or by name."""

from __future__ import annotations

import argparse
import re

NUMBER = re.compile(r"[+-]?\d{1,18}", re.ASCII)


def label(text: str) -> int | str:
    """Type of ``--label``: a whole number is the number of a class, anything else its name."""
    return int(text) if NUMBER.fullmatch(text) else text


def add_label(parser: argparse.ArgumentParser, what: str) -> None:
    """Describe ``--label``, the class of all samples or sentences."""
    parser.add_argument(
        "--label", type=label, metavar="CLASS", help=f"class of all {what}, by number or name, for a model of classes"
    )
