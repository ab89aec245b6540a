"""The command line of scripts without options, which answers ``--help`` and refuses the rest."""

from __future__ import annotations

import argparse


def parse_nothing(description: str | None) -> None:
    """Print a script's docstring for ``--help``, and end at any other argument."""
    argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
