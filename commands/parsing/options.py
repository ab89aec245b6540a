"""Options of fit, validate and test, read from source: Lightning, which takes seconds, is not imported.

``--help``, completion and the check of misspelt names rest on them. What is not certain here is accepted: the parser
reads the same command line again, and checks it with all values.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path

from ...registry import installed_plugins, unknown_name
from ..documentation.catalogue import PACKAGE, Catalogue
from ..documentation.entries import Entry, Kind, Option
from ..documentation.syntax import Definition, Module, literal
from ..run_folders.names import ROOT
from .command_line import SECTIONS, CommandLine, structure
from .errors import near, unknown_class

REGISTRIES = {"model": "MODELS", "data": "DATA"}
TRAINER_DEFAULTS = {"default_root_dir": str(ROOT), "num_sanity_val_steps": 0, "enable_model_summary": False}
PLAIN = ("bool", "int", "float", "str")  # types of the arguments that a test of something trained may change
GENERAL = [  # of the parser and of Lightning, in no signature
    Option("help", "", None, "Print this page; with a configuration, the options of its model and data as well.", ""),
    Option("config", "NAME | FILE", None, "Configuration of `gumbelzoo list`, or a file.", ""),
    Option("print_config", "", None, "Print the whole configuration, defaults included.", ""),
    Option("seed_everything", "int | bool", "0", "Seed of weights, order of the data and samples.", ""),
    Option("ckpt_path", "str | None", "None", "Checkpoint of a run: last, best or a file; `fit` resumes from it.", ""),
]


class Options:
    """All options of a command line.

    Args:
        line: the command line, which says which model, data, parts and plugins are chosen.

    Raises:
        FileNotFoundError: there is no such plugin.
        ValueError: a plugin that cannot be read.
    """

    def __init__(self, line: CommandLine) -> None:
        self.line, self.catalogue = line, Catalogue(line.plugins)

    @cached_property
    def general(self) -> list[Option]:
        """Options of no section."""
        return [*GENERAL, *own_options()]

    @cached_property
    def trainer(self) -> list[Option]:
        """Options of the section ``trainer``; of callbacks and other objects only the option that names them."""
        return [
            replace(option, default=repr(TRAINER_DEFAULTS[option.name])) if option.name in TRAINER_DEFAULTS else option
            for option in trainer_options()
        ]

    def classes(self, section: str) -> Kind:
        """Return all models, or all data modules."""
        return self.catalogue.registries[REGISTRIES[section]]

    def names(self) -> Iterator[str]:
        """Yield the full names of all options without dashes, those of the chosen parts included."""
        yield from (option.name for option in self.general)
        yield from (f"trainer.{option.name}" for option in self.trainer)
        yield from SECTIONS
        for section in SECTIONS:
            yield from self._below((section,))

    def _below(self, path: tuple[str, ...]) -> Iterator[str]:
        entry = self.entry(path)
        for option in self.of(path, entry) if entry else ():
            yield ".".join((*path, option.name))
            if option.part:
                yield from self._below((*path, option.name))

    # -- of a path --------------------------------------------------------------------------------------------------

    def entry(self, path: tuple[str, ...]) -> Entry | None:
        """Class or part at a path such as ``("model", "estimator")``; None where it is not certain.

        Raises:
            LookupError: there is no such option.
        """
        if len(path) == 1:
            return self.classes(path[0]).entries.get(self.line.classes.get(path[0], ""))
        option, kind = self.option(path)
        if option is None or kind is None:
            return None
        default = literal(ast.parse(option.default or "None", mode="eval").body)
        name = self.line.choices.get(path, default.get("name") if isinstance(default, dict) else default)
        return kind.entries.get("") or kind.entries.get(str(name))

    def option(self, path: tuple[str, ...]) -> tuple[Option | None, Kind | None]:
        """Return the option at a path, and the kind of part that it chooses; None where they are not certain.

        Raises:
            LookupError: there is no such option.
        """
        entry = self.entry(path[:-1])
        if entry is None or (path[-1] == "name" and len(path) > 2):
            return None, None
        option = {option.name: option for option in self.of(path[:-1], entry)}[path[-1]]
        return option, entry.parts.get(option.name)

    def of(self, path: tuple[str, ...], entry: Entry) -> list[Option]:
        """Return the options of the class or part at a path."""
        tested = self.line.sources and path == ("model",)
        return [option for option in entry.options if not tested or option.type in PLAIN]

    # -- misspelt names -----------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Check the names of models, data, options and parts.

        Raises:
            ValueError: an unknown one; the nearest is named.
        """
        own = self.line.plugins or self.line.names_plugins
        if own or any("." in name for name in self.line.classes.values()):
            return  # the user's module may register anything
        try:
            self._check_names()
        except ValueError:
            if not installed_plugins():  # one of them may register it
                raise

    def _check_names(self) -> None:
        for section, name in () if self.line.sources else self.line.classes.items():
            entries = self.classes(section).entries
            if name not in entries:
                raise ValueError(unknown_class(section, name, {entries[known].object: known for known in entries}))
        for option, value in self.line.typed:
            if option.startswith("--"):
                path = tuple(part.removesuffix("+") for part in option[2:].split(".") if part != "init_args")
                self._check(option, path, value)

    def _check(self, option: str, path: tuple[str, ...], value: str | None) -> None:
        try:
            kind = self._kind(path)
        except LookupError:
            if len(path) > 2 and path[0] in SECTIONS:
                key = ".".join(path)
                raise ValueError(f"unknown key '{key}'{near(key, self.names())}") from None
            raise ValueError(f"unknown option '{option}'{near(option, self.names())}") from None
        if kind and value and isinstance(structure(value), str) and not {"", value} & kind.entries.keys():
            raise ValueError(f"{'.'.join(path)}: {unknown_name(kind.name, value, kind.entries)}")

    def _kind(self, path: tuple[str, ...]) -> Kind | None:
        """Kind of part that an option chooses, None for other options; LookupError for one that is certainly none."""
        first, *rest = path
        if first in SECTIONS:
            return self.option(path)[1] if rest and rest not in (["help"], ["class_path"]) else None
        known = [option.name for option in (self.trainer if first == "trainer" else self.general)]
        if first == "trainer":
            certain = bool(rest and known) and rest != ["help"]
        else:
            certain, rest = first != "print_shtab", [".".join(path)]
        if certain and rest[0] not in known:
            raise LookupError
        return None


def trainer_options() -> list[Option]:
    """Return the arguments of Lightning's ``Trainer``; none if its source is not where it was."""
    spec = find_spec("lightning")
    path = Path(str(spec and spec.origin)).parent / "pytorch/trainer/trainer.py"
    if not path.is_file():
        return []
    module = Module(path, path.parent)
    node = module.definitions.get("Trainer")
    return Entry("", (), [Definition(module, node)], {}).options if node else []


def own_options() -> list[Option]:
    """Return the options of ``fit`` that are ours."""
    tree = ast.parse((PACKAGE / "commands/training/run_options.py").read_text(encoding="utf-8"))
    method = next(node for node in ast.walk(tree) if getattr(node, "name", "") == "add_run_options")
    found = []
    for call in ast.walk(method):
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "parser.add_argument":
            given = {str(keyword.arg): keyword.value for keyword in call.keywords}
            kind, default = (ast.unparse(given[name]) if name in given else None for name in ("type", "default"))
            text = str(literal(given.get("help"), ""))
            found.append(Option(literal(call.args[0])[2:], kind or "", default or "None", text, ""))
    return found
