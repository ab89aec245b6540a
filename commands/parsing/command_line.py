"""Names on a command line of fit, validate or test: classes of model and data, chosen parts, options. No torch."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

from ...pretrained.paths import user_path
from ...pretrained.plain_yaml import parse_yaml, read_yaml
from ...pretrained.run_files import CONFIG
from ...pretrained.untrusted import read_json
from ..documentation.catalogue import PACKAGE
from .configs import find_config

SECTIONS = ("model", "data")
FLAGS = ("--help", "--print_config")  # take no value, or one after `=`
Typed = tuple[str, str | None]


@dataclass
class CommandLine:
    """What a command line names.

    Attributes:
        command: fit, validate or test.
        sources: releases and runs that are tested; none where a configuration says what.
        typed: options with their values, in their order; None without a value.
        classes: names of model and data, as registered or as import paths.
        choices: names of parts by path, such as ``("model", "estimator")``; empty for a number in its place.
        names_plugins: True if a configuration names plugins, which may register anything.
    """

    command: str
    sources: Sequence[str] = ()
    typed: list[Typed] = field(default_factory=list)
    classes: dict[str, str] = field(default_factory=dict)
    choices: dict[tuple[str, ...], str] = field(default_factory=dict)
    names_plugins: bool = False

    @classmethod
    def read(cls, command: str, tokens: Sequence[str]) -> CommandLine:
        """Read tokens, and the configurations that they name.

        Raises:
            ValueError: a configuration that is missing or malformed, or not named.
            OSError: one that cannot be read.
        """
        sources = [] if command == "fit" else list(takewhile(lambda token: not token.startswith("-"), tokens))
        typed = list(_scan(tokens))
        described = [_described(source) for source in sources] or [{}]
        alike = all(classes == described[0] for classes in described)
        line = cls(command, sources, typed, described[0] if alike else {})
        for option, value in line.typed:
            if option == "--config":
                if not value:
                    raise ValueError("--config needs a value")
                content = read_yaml(find_config(value))
                line.names_plugins |= "plugin" in content
                for section in SECTIONS:
                    line._add([section], content.get(section))
        for option, value in line.typed:
            path = option.removeprefix("--").split(".")
            if path[0] in SECTIONS and value:
                line._add(path, structure(value))
        return line

    @property
    def plugins(self) -> list[str]:
        """Values of ``--plugin``."""
        return [value for option, value in self.typed if option == "--plugin" and value]

    @property
    def asks_for_help(self) -> bool:
        """True if ``--help`` is one of the options."""
        return any(option in ("-h", "--help") for option, _ in self.typed)

    def _add(self, path: Sequence[str], value: Any) -> None:
        """Take the names at and below a path."""
        section, *rest = path
        if not rest and isinstance(value, Mapping):
            self._add([section, "class_path"], value.get("class_path"))
            self._add([section, "init_args"], value.get("init_args"))
        elif rest in ([], ["class_path"]):
            self.classes |= {section: value} if isinstance(value, str) else {}
        else:
            self._choose((section, *rest[rest[0] == "init_args" :]), value)

    def _choose(self, path: tuple[str, ...], value: Any) -> None:
        if not isinstance(value, Mapping):
            self.choices[path[:-1] if path[-1] == "name" else path] = value if isinstance(value, str) else ""
        for key, item in value.items() if isinstance(value, Mapping) else ():
            self._choose((*path, str(key)), item)


def structure(text: str) -> Any:
    """Return the number, list or mapping that a text writes out; any other text as it is."""
    try:
        return parse_yaml(text)
    except ValueError:
        return text


def _scan(tokens: Sequence[str]) -> Iterator[Typed]:
    """Options and their values, as the parser pairs them."""
    waiting = deque(tokens)
    while waiting:
        token = waiting.popleft()
        if token.startswith("-c"):
            token = f"--config={token[2:].removeprefix('=')}" if token != "-c" else "--config"
        if not token.startswith("-"):
            continue
        option, equals, value = token.partition("=")
        named = option.removeprefix("--").partition(".")[0] in (*SECTIONS, "config")
        takes = (named and not option.endswith(".help")) or (waiting and not waiting[0].startswith("--"))
        if equals:
            yield option, value
        elif waiting and takes and option.startswith("--") and option not in FLAGS:
            yield option, waiting.popleft()
        else:
            yield option, None


def _described(source: str) -> dict[str, str]:
    """Names of model and data of a release or run; empty where they cannot be read without more ado."""
    try:
        folder = user_path(source)
        folder = folder if folder.exists() else PACKAGE / "checkpoints" / source
        if folder.suffix == ".ckpt":
            folder = folder.parent.parent
        if (folder / CONFIG).is_file():
            content = read_yaml(folder / CONFIG)
            return {section: str(content[section]["class_path"]) for section in SECTIONS}
        if (folder / "config.json").is_file():
            content = read_json(folder / "config.json")
            return {"model": str(content["model"]), "data": str(content["data"]["class"])}
    except (OSError, ValueError, LookupError, TypeError):
        pass  # the command itself says what is wrong with it
    return {}
