"""Generated text of the site: docstrings of promised names and of every part that has a name, and ``--help``."""

from __future__ import annotations

import argparse
import importlib
import re
from functools import partial

from gumbelzoo.commands.documentation.catalogue import Catalogue
from gumbelzoo.commands.documentation.entries import Entry, Kind, Option
from gumbelzoo.commands.parsing.command_line import CommandLine
from gumbelzoo.commands.parsing.options import Options
from gumbelzoo.commands.parsing.usage import USAGE
from gumbelzoo.commands.parsing.usage import page as usage_page
from gumbelzoo.docs.navigation import KINDS, MODULES
from gumbelzoo.train import COMMANDS

CODE = re.compile(r"(``.+?``|`[^`]+`)")


def generated(name: str, docstrings: bool = True) -> str:
    """Markdown that the site adds to a page: to those of the API, and to that of the command line.

    Args:
        name: of the page, as in ``NAVIGATION``.
        docstrings: also of the running package, whose import takes seconds; the other text is read from the source.
    """
    if name == "docs/command_line":
        return "\n## All options\n" + "".join(_help(command) for command in COMMANDS if command != "help")
    folder, _, page = name.rpartition("/")
    if folder != "docs/api":
        return ""
    if page in MODULES:
        return "".join(_module(module, others) for module, others in MODULES[page].items() if docstrings)
    kinds = Catalogue().kinds
    elsewhere = {kind for names in KINDS.values() for kind in names}
    names = KINDS[page] or [kind for kind in kinds if kind not in elsewhere]
    return "".join(_kind(kinds[kind]) for kind in names)


def _help(command: str) -> str:
    """The page of a command, as ``help COMMAND`` prints it."""
    if command in USAGE:
        text = usage_page(Options(CommandLine.read(command, []))).partition("\ntrainer: ")[0]
    else:
        module = importlib.import_module(f"gumbelzoo.commands.{command}")
        wide = partial(argparse.RawDescriptionHelpFormatter, width=100)
        parser = argparse.ArgumentParser(f"gumbelzoo {command}", description=module.__doc__, formatter_class=wide)
        module.add_arguments(parser)
        text = parser.format_help()
    return f"\n### `{command}`\n\n```text\n{text.rstrip()}\n```\n"


def _module(module: str, others: str) -> str:
    directive = f".. automodule:: {module}\n" + (f"   :exclude-members: {others}\n" if others else "")
    return f"\n## `{module}`\n\n```{{eval-rst}}\n{directive}```\n"


def _kind(kind: Kind) -> str:
    given = f"\nGiven by the caller: {', '.join(f'`{name}`' for name in kind.context)}.\n" if kind.context else ""
    return f"\n## {kind.name[0].upper()}{kind.name[1:]}\n{given}" + "".join(
        _entry(name, entry) for name, entry in sorted(kind.entries.items())
    )


def _entry(name: str, entry: Entry) -> str:
    title = f"\n### `{name or entry.object}`\n"
    papers = [f"[arXiv:{paper}](https://arxiv.org/abs/{paper})" for paper in entry.papers]
    source = ", ".join([f"[{entry.file}](../../{entry.file})", *papers])
    options = "\n".join(_option(option) for option in entry.options)
    return f"{title}\n{_plain(entry.summary)}\n\n{options}\n\n{source}\n"


def _option(option: Option) -> str:
    kind = f": `{option.type}`" if option.type else ""
    default = "" if option.default is None else f" = `{option.default}`"
    part = f" ({option.part})" if option.part else ""
    text = f". {_plain(option.documentation)}" if option.documentation else ""
    return f"- `{option.name}`{kind}{default}{part}{text}"


def _plain(text: str) -> str:
    """Text of a docstring as Markdown: what is not code has no marks of its own."""
    pieces = CODE.split(" ".join(text.split()))
    return "".join(
        piece if place % 2 else re.sub(r"([\\<>*_|\[\]#])", r"\\\1", piece) for place, piece in enumerate(pieces)
    )
