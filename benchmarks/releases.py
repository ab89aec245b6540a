"""Every released checkpoint tested again, held to its card, and the README's table of results written anew.

    python benchmarks/releases.py                 # all whose data are there (or can be downloaded)
    python benchmarks/releases.py catvae-mnist    # only these
    python benchmarks/releases.py --table         # the table only, from the releases' config.json

A figure must be the card's to the printed digits, but for one in the last of them: another processor adds in another
order. The table is written between two comments in README.md.
"""

from __future__ import annotations

import argparse
import math
import re
import sys
from pathlib import Path

from gumbelzoo.benchmarks.common.readme import write_table
from gumbelzoo.commands.list import releases
from gumbelzoo.commands.source import resolve_source
from gumbelzoo.commands.test import measure
from gumbelzoo.pretrained.release import CARD

ROW = re.compile(r"^\| (test/\S+) \| (-?[\d.]+|nan|inf) \|$", flags=re.MULTILINE)


def card_figures(folder: Path) -> dict[str, str]:
    """The test figures that the card of a release states, as they are printed."""
    return dict(ROW.findall((folder / CARD).read_text(encoding="utf-8")))


def printed(metrics: dict[str, float]) -> dict[str, str]:
    """Figures as cards print them."""
    return {name: f"{value:.4f}" for name, value in metrics.items()}


def render_table() -> str:
    """A row for each release: its main test figures, from its ``config.json``."""
    rows = ["| released | model | data | size | test figures |", "|---|---|---|---|---|"]
    for release in releases():
        figures = ", ".join(f"{name} {value:.4f}" for name, value in release["figures"].items())
        half = ", half precision" if release["precision"] == "half" else ""
        link = f"[`{release['name']}`](checkpoints/{release['name']}/README.md)"
        size = f"{release['megabytes']} MB{half}"
        rows.append(f"| {link} | `{release['model']}` | {release['data']} | {size} | {figures} |")
    return "\n".join(rows)


def agree(found: str | None, stated: str | None) -> bool:
    """Whether two printed figures are the same, or neighbours."""
    if found is None or stated is None or not math.isfinite(float(found) - float(stated)):
        return found == stated
    return round(1e4 * abs(float(found) - float(stated))) <= 1


def differences(name: str, folder: Path) -> list[str]:
    """Test a release, and say how the figures differ from its card.

    Raises:
        FileNotFoundError: its data are not there.
    """
    found, stated = printed(measure(resolve_source(name))["metrics"]), card_figures(folder)
    return [
        f"{name}: {metric} is {found.get(metric, 'missing')}, the card says {stated.get(metric, 'nothing')}"
        for metric in sorted(found.keys() | stated.keys())
        if not agree(found.get(metric), stated.get(metric))
    ]


def main(arguments: list[str] | None = None) -> int:
    """Test, compare, write the table; 1 if a figure differs from its card."""
    from gumbelzoo.pretrained.api import find, list_pretrained

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="releases (default: all)")
    parser.add_argument("--table", action="store_true", help="test nothing")
    options = parser.parse_args(arguments)
    names = [] if options.table else options.names or list_pretrained()
    try:
        folders = {name: find(name).folder for name in names}
    except ValueError as error:
        parser.error(str(error))
    wrong: list[str] = []
    tested = 0
    for name, folder in folders.items():
        print(f"\n{name}")
        try:
            wrong += differences(name, folder)
            tested += 1
        except FileNotFoundError as error:
            print(f"skipped: {error}")
    write_table("results", render_table())
    verdict = f"{tested} tested, every figure is its card's" if tested else "nothing was tested; the table is written"
    print(*(wrong or [verdict]), sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
