"""``--plugin NAME`` on a command line: modules of users, named as often as there are."""

from __future__ import annotations

import argparse
from collections import deque
from collections.abc import Sequence

from ...pretrained.plugins import import_plugins

# Commands beside Lightning's own whose models, data or parts may be those of a plugin.
COMMANDS = ("sample", "reconstruct", "encode", "decode", "interpolate", "export", "sweep", "list")
HELP = "module, or .py file, that registers parts, models or data of your own; repeatable"


def add_plugins(parser: argparse.ArgumentParser, command: str) -> None:
    """Describe ``--plugin``, for a command that takes it."""
    if command in COMMANDS:
        parser.add_argument("--plugin", action="append", default=[], metavar="MODULE|FILE", help=HELP)


def import_given(options: argparse.Namespace, command: str) -> None:
    """Import the plugins of a command; ``list`` reads them only. Errors are those of ``import_plugins``."""
    if command in COMMANDS and command != "list":
        import_plugins(options.plugin)


def split_plugins(options: Sequence[str]) -> tuple[list[str], list[str]]:
    """Split options as typed into the values of ``--plugin`` and all others; ValueError for one without a value."""
    plugins: list[str] = []
    others: list[str] = []
    tokens = deque(options)
    while tokens:
        token = tokens.popleft()
        option, equals, value = token.partition("=")
        if option != "--plugin":
            others.append(token)
            continue
        if not equals and tokens and not tokens[0].startswith("-"):
            value = tokens.popleft()
        if not value:
            raise ValueError("--plugin needs a value: the name of a module, or a .py file")
        plugins.append(value)
    return plugins, others
