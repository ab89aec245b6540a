"""List what there is: everything by name, the entries of one kind, or one entry with its options and facts."""

from __future__ import annotations

import argparse
import json
import re
import textwrap
from collections.abc import Iterable
from typing import Any

from ..registry import unknown_name
from .catalogue import PACKAGE, Catalogue
from .configs import config_names
from .entries import Entry, Kind, Option

CHECKPOINTS = PACKAGE / "checkpoints"
WIDTH = 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument("kind", nargs="?", help="such as estimator, quantizer, objective, optimizer")
    parser.add_argument("name", nargs="?", help="one of the kind, for its options and facts")
    parser.add_argument("--json", action="store_true", help="for programs; with every test metric of each release")


def contents(catalogue: Catalogue) -> dict[str, Any]:
    """Names of everything there is, and the releases with their metrics."""
    named = {name: sorted(kind.entries) for name, kind in catalogue.registries.items()}
    return {
        "models": named["MODELS"],
        "estimators": named["ESTIMATORS"],
        "schedules": named["SCHEDULES"],
        "data": named["IMAGE_SETS"] + named["TEXT_SETS"],
        "configs": config_names(),
        "checkpoints": releases(catalogue),
    }


def releases(catalogue: Catalogue | None = None) -> list[dict[str, Any]]:
    """Every release: name, model, data set, test metrics, and which of these are shown in tables."""
    models = (catalogue or Catalogue()).registries["MODELS"].entries
    found = []
    for path in sorted(CHECKPOINTS.glob("*/config.json")):
        config = json.loads(path.read_text(encoding="utf-8"))
        metrics, test = config["test"].get("metrics", {}), config["test"]
        card = models[config["model"]].keyword("card", "metrics") or ()
        shown = [name for name in card if f"test/{name}" in metrics][:3]
        found.append(
            {
                "name": path.parent.name,
                "model": config["model"],
                "data": config["data"].get("arguments", {}).get("name", ""),
                "metadata": test.get("metadata", {}),
                "megabytes": round((path.parent / "model.safetensors").stat().st_size / 1e6, 2),
                "precision": config.get("precision", "full"),
                "figures": {name: metrics[f"test/{name}"] for name in shown},
                "metrics": metrics,
            }
        )
    return found


def run(options: argparse.Namespace) -> None:
    """Print what was asked for.

    Raises:
        ValueError: an unknown kind or name; the nearest is named.
    """
    catalogue = Catalogue()
    if not options.kind:
        found = contents(catalogue)
        print(json.dumps(found, indent=2) if options.json else overview(found, catalogue.kinds))
        return
    kind = catalogue.find(options.kind)
    name = options.name or ("" if "" in kind.entries else None)
    if name is None:
        entries = {name: kind.entries[name].summary for name in sorted(kind.entries)}
        print(json.dumps({"kind": kind.name, "entries": entries}, indent=2) if options.json else table(kind, entries))
        return
    if name not in kind.entries:
        raise ValueError(unknown_name(kind.name, name, filter(None, kind.entries)))
    entry = kind.entries[name]
    print(json.dumps({"kind": kind.name, **entry.describe()}, indent=2) if options.json else page(kind, entry))


def overview(found: dict[str, Any], kinds: Iterable[str]) -> str:
    """Names by kind, then a line per release, then how to ask for more."""
    lines = [f"{kind:12s} {'  '.join(names) or '-'}" for kind, names in found.items() if kind != "checkpoints"]
    lines.append("checkpoints")
    for release in found["checkpoints"]:
        figures = "  ".join(f"{name} {value:.4f}" for name, value in release["figures"].items())
        size = f"{release['megabytes']} MB"
        lines.append(f"  {release['name']:28s} {release['model']} of {release['data']}, {size}: {figures}")
    more = f"`list KIND` or `list KIND NAME` tells more: {', '.join(map(_word, kinds))}"
    return "\n".join([*lines, *textwrap.wrap(more, WIDTH, subsequent_indent="  ", break_on_hyphens=False)])


def table(kind: Kind, entries: dict[str, str]) -> str:
    """A line per entry, and how to ask for one."""
    width = max(map(len, entries))
    short = {
        name: textwrap.shorten(text, WIDTH, placeholder=" ...", break_on_hyphens=False)
        for name, text in entries.items()
    }
    lines = [f"{name:{width}s}  {text}" for name, text in short.items()]
    return "\n".join([*map(str.rstrip, lines), f"`list {_word(kind.name)} NAME` tells the options of one"])


def page(kind: Kind, entry: Entry) -> str:
    """Summary, options, facts, papers and file of one entry."""
    lines = [f"{kind.name} {entry.name}".strip(), *_wrap(entry.summary, "  ")]
    if options := entry.options:
        lines += ["", "options"]
    for option in options:
        lines += [f"  {option.name}: {option.type}{_remarks(option)}", *_wrap(option.documentation, " " * 6)]
    if facts := entry.facts:
        lines += ["", "facts"]
    for name, fact in facts.items():
        lines += _wrap(f"{fact.value!s:5s}  {fact.documentation}", f"  {name:20s} ")
    lines += ["", *(f"paper  https://arxiv.org/abs/{paper}" for paper in entry.papers)]
    return "\n".join([*lines, f"file   {entry.file}" + (f", {entry.object}" if entry.object else "")])


def _remarks(option: Option) -> str:
    """The default of an option, and the kind of part that it chooses; a group of options has defaults of its own."""
    default = "" if option.default is None else f" = {option.default}"
    if not option.part:
        return default
    article = "an" if option.part[0] in "aeiou" else "a"
    own = re.match(r"[A-Z](?!one\b)", option.default or "")
    return f"{'' if own else default}  ({article} {option.part}, see `list {_word(option.part)}`)"


def _wrap(text: str, indent: str) -> list[str]:
    """Lines of a paragraph, the first after ``indent``, the others as far to the right."""
    return textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=" " * len(indent))


def _word(kind: str) -> str:
    """A kind as one word of the command line."""
    return kind.replace(" ", "-")
