"""Test every release again, compare with its card, and write the table of ``docs/releases.md``.

    python benchmarks/releases.py                 # all releases whose data are there or can be downloaded
    python benchmarks/releases.py catvae-mnist    # only these
    python benchmarks/releases.py --table         # only write the table, from each config.json
    python benchmarks/releases.py --cards         # only draw the pictures again, and write what cards say of all models

A metric must equal the card's up to one unit in its last printed digit: another processor adds numbers in another
order. A perplexity of codes may differ by 1e-4 of itself: there a near tie is another code, and 13.6004 became 13.6012.
Exit code 1 if a metric differs.
"""

from __future__ import annotations

import argparse
import math
import re
import sys
from pathlib import Path

from gumbelzoo.benchmarks.common.pages import markdown_table, write_table
from gumbelzoo.commands.export import draw_figures, draw_sentences
from gumbelzoo.commands.files.source import resolve_source
from gumbelzoo.commands.list import releases
from gumbelzoo.commands.run_folders.card import renew_card
from gumbelzoo.commands.test import measure
from gumbelzoo.pretrained.api import find, list_pretrained
from gumbelzoo.pretrained.config import read_config
from gumbelzoo.pretrained.release import CARD
from torchvision.utils import save_image

PAGE = "docs/releases.md"
HEADER = ("release", "model", "data", "size", "test metrics")
TIES = {"test/perplexity": 1e-4}  # relative differences of metrics that count most probable codes
ROW = re.compile(r"^\| (test/\S+) \| (-?[\d.]+|nan|inf) \|$", flags=re.MULTILINE)


def card_metrics(folder: Path) -> dict[str, str]:
    """Return the test metrics that the card of a release states, as printed."""
    return dict(ROW.findall((folder / CARD).read_text(encoding="utf-8")))


def printed(metrics: dict[str, float]) -> dict[str, str]:
    """Format metrics as cards do."""
    return {name: f"{value:.4f}" for name, value in metrics.items()}


def render_table() -> str:
    """Return a table of all releases with their main test metrics, from each ``config.json``."""
    rows = []
    for release in releases():
        metrics = ", ".join(f"{name} {value:.4f}" for name, value in release["figures"].items())
        half = ", half precision" if release["precision"] == "half" else ""
        link = f"[`{release['name']}`](../checkpoints/{release['name']}/README.md)"
        rows.append([link, f"`{release['model']}`", release["data"], f"{release['megabytes']} MB{half}", metrics])
    return markdown_table(HEADER, rows)


def agree(found: str | None, stated: str | None, relative: float = 0.0) -> bool:
    """True if printed metrics differ by at most one unit in the last digit, or ``relative``; None is a missing one."""
    if found is None or stated is None or not math.isfinite(float(found) - float(stated)):
        return found == stated
    return round(1e4 * abs(float(found) - float(stated))) <= max(1.0, 1e4 * relative * float(stated))


def differences(name: str, folder: Path) -> list[str]:
    """Test a release, and list the metrics of its card that differ; the card may be older than a metric of ``test``.

    Raises:
        FileNotFoundError: its data are not there.
    """
    found, stated = printed(measure(resolve_source(name))["metrics"]), card_metrics(folder)
    return [
        f"{name}: {metric} is {found.get(metric, 'missing')}, the card says {stated[metric]}"
        for metric in sorted(stated)
        if not agree(found.get(metric), stated[metric], TIES.get(metric, 0.0))
    ]


def renew(name: str, folder: Path) -> None:
    """Draw the pictures of a release, and write the parts of its card that are no record of its run.

    Raises:
        FileNotFoundError: its data are not there.
        ValueError: the card was not written by ``export``.
    """
    source, config, card = resolve_source(name), read_config(folder), folder / CARD
    figures = draw_figures(source)
    half, pictures = config.precision == "half", [f"{figure}.png" for figure in figures]
    sentences = draw_sentences(source.model)
    old, facts = card.read_text(encoding="utf-8"), (config.ema, config.data, config.test)
    text = renew_card(old, name, source.model, pictures, sentences, half, *facts)
    for figure, picture in zip(figures.values(), pictures, strict=True):
        save_image(figure, folder / picture)
    for other in folder.glob("*.png"):
        if other.name not in pictures:
            other.unlink()
    card.write_text(text, encoding="utf-8")


def main(arguments: list[str] | None = None) -> int:
    """Test, compare and write the table, or write cards; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="releases (default: all)")
    parser.add_argument("--table", action="store_true", help="test nothing")
    parser.add_argument("--cards", action="store_true", help="test nothing, and renew the cards")
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
            if options.cards:
                renew(name, folder)
                continue
            wrong += differences(name, folder)
            tested += 1
        except FileNotFoundError as error:
            print(f"skipped: {error}")
    if options.cards:
        return 0
    write_table(PAGE, "results", render_table())
    verdict = f"{tested} tested, all metrics equal those of the cards" if tested else "nothing tested, table written"
    print(*(wrong or [verdict]), sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
