"""Configurations of benchmark rows, as the command line reads them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import pytest
import yaml
from gumbelzoo import load
from gumbelzoo.commands.parsing.configuration import Configuration
from gumbelzoo.models import ZooModel

Described = tuple[type[ZooModel], dict[str, Any], int]


@pytest.fixture(scope="session")
def describe() -> Callable[[str, Sequence[str]], Described]:
    """Function that gives model class, its arguments and the steps of a configuration with options (0: not stated)."""
    load_once = cache(load)

    def described(config: str, options: Sequence[str]) -> Described:
        read = Configuration.read(["fit", "--config", config, *options])
        _, _, text, *others = read.arguments
        section = read.sections["model"]
        plain = {
            path[0]: yaml.safe_load(value) if isinstance(value, str) else value
            for item in section.rest
            for path, value in item.values
        }
        trainer = yaml.safe_load(text)["trainer"]
        trainer |= dict(x.removeprefix("--trainer.").split("=") for x in others if x.startswith("--trainer."))
        arguments = section.kind.resolve({**section.arguments, **plain}, load_once)
        return section.kind, arguments, int(trainer.get("max_steps", 0))

    return described
