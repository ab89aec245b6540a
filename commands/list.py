"""List what there is: everything by name, the entries of one kind, one with its options, configurations, or runs."""

from __future__ import annotations

import argparse
import json
import textwrap
from collections.abc import Iterable
from itertools import takewhile
from typing import Any

from ..pretrained.paths import user_path
from ..registry import installed_plugins, unknown_name
from .documentation.catalogue import PACKAGE, Catalogue
from .documentation.entries import Entry, Kind
from .documentation.layout import WIDTH, option_lines, word, wrap
from .parsing.configs import CONFIG_KINDS, FOLDER, config_header, config_names
from .run_folders.comparison import SHOWN_METRICS, describe_all, list_table
from .run_folders.records import find_runs, read_record

CHECKPOINTS = PACKAGE / "checkpoints"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument("kind", nargs="?", help="such as estimator, quantizer, objective, optimizer; config; or runs")
    parser.add_argument("name", nargs="?", help="one of the kind, for its options and facts; of runs a folder")
    parser.add_argument("--json", action="store_true", help="for programs; with every test metric of each release")


def contents(catalogue: Catalogue) -> dict[str, Any]:
    """Return names of everything there is, and the releases with their metrics."""
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
    """Return every release: name, model, data set, test metrics, and which of these are shown in tables."""
    models = (catalogue or Catalogue()).registries["MODELS"].entries
    found = []
    for path in sorted(CHECKPOINTS.glob("*/config.json")):
        config = json.loads(path.read_text(encoding="utf-8"))
        test = config["test"]
        metrics = test.get("metrics", {})
        card = models[config["model"]].keyword("card", "metrics") or ()
        shown = [name for name in card if f"test/{name}" in metrics][:SHOWN_METRICS]
        found.append(
            {
                "name": path.parent.name,
                "model": config["model"],
                "data": config["data"].get("arguments", {}).get("name") or config["data"].get("class", ""),
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
    if options.kind in ("run", "runs"):
        records = [read_record(folder) for folder in find_runs(user_path(options.name or "runs"))]
        print(json.dumps(describe_all(records), indent=2) if options.json else list_table(records))
        return
    if options.kind in CONFIG_KINDS:
        print(one_configuration(options.name, options.json) if options.name else configurations(options.json))
        return
    catalogue = Catalogue([*options.plugin, *(plugin.module for plugin in installed_plugins())])
    if not options.kind:
        found = contents(catalogue)
        print(json.dumps(found, indent=2) if options.json else overview(found, catalogue.kinds))
        return
    kind = catalogue.find(options.kind)
    name = options.name or ("" if "" in kind.entries else None)
    if name is None:
        entries = {name: kind.entries[name].summary for name in sorted(kind.entries)}
        print(table_json(kind.name, entries) if options.json else table(kind.name, entries))
        return
    if name not in kind.entries:
        raise ValueError(unknown_name(kind.name, name, filter(None, kind.entries)))
    entry = kind.entries[name]
    print(json.dumps({"kind": kind.name, **entry.describe()}, indent=2) if options.json else page(kind, entry))


def overview(found: dict[str, Any], kinds: Iterable[str]) -> str:
    """Return names by kind, then a line per release, then how to ask for more."""
    lines = [f"{kind:12s} {'  '.join(names) or '-'}" for kind, names in found.items() if kind != "checkpoints"]
    lines.append("checkpoints")
    for release in found["checkpoints"]:
        figures = "  ".join(f"{name} {value:.4f}" for name, value in release["figures"].items())
        size = f"{release['megabytes']} MB"
        lines.append(f"  {release['name']:28s} {release['model']} of {release['data']}, {size}: {figures}")
    more = f"`list KIND` or `list KIND NAME` tells more: {', '.join([*map(word, kinds), 'config'])}"
    return "\n".join([*lines, *textwrap.wrap(more, WIDTH, subsequent_indent="  ", break_on_hyphens=False)])


def configurations(as_json: bool) -> str:
    """Return a line per packaged configuration."""
    entries = {name: _prose(config_header(name)) for name in config_names()}
    return table_json("config", entries) if as_json else table("config", entries)


def one_configuration(name: str, as_json: bool) -> str:
    """Return what the top of a packaged configuration says, and where it is."""
    header, file = config_header(name), FOLDER / f"{name}.yaml"
    if as_json:
        return json.dumps({"kind": "config", "name": name, "summary": "\n".join(header), "file": str(file)}, indent=2)
    return "\n".join([f"config {name}", *(f"  {line}".rstrip() for line in header), "", f"file   {file}"])


def _prose(header: list[str]) -> str:
    return " ".join(takewhile(lambda line: not line.startswith(" "), header))  # the commands after it are indented


def table_json(kind: str, entries: dict[str, str]) -> str:
    """Return the entries of a kind and their summaries, for programs."""
    return json.dumps({"kind": kind, "entries": entries}, indent=2)


def table(kind: str, entries: dict[str, str]) -> str:
    """Return a line per entry, and how to ask for one."""
    width = max(map(len, entries))
    short = {
        name: textwrap.shorten(text, WIDTH, placeholder=" ...", break_on_hyphens=False)
        for name, text in entries.items()
    }
    lines = [f"{name:{width}s}  {text}" for name, text in short.items()]
    return "\n".join([*map(str.rstrip, lines), f"`list {word(kind)} NAME` tells more of one"])


def page(kind: Kind, entry: Entry) -> str:
    """Return the summary, options, facts, papers and file of one entry."""
    lines = [f"{kind.name} {entry.name}".strip(), *wrap(entry.summary, "  ")]
    if options := entry.options:
        lines += ["", "options", *option_lines(options)]
    if facts := entry.facts:
        lines += ["", "facts"]
    for name, fact in facts.items():
        lines += wrap(f"{fact.value!s:5s}  {fact.documentation}", f"  {name:20s} ")
    lines += ["", *(f"paper  https://arxiv.org/abs/{paper}" for paper in entry.papers)]
    return "\n".join([*lines, f"file   {entry.file}" + (f", {entry.object}" if entry.object else "")])
