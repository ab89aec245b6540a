"""Configuration of a command: ``--config`` files and options on top of them, merged into what the parser is given.

The files are read here and nowhere else, as plain values; the parser gets one text, and checks types. Models and data
are named as in their registries, and nothing in their arguments can name a class.
"""

from __future__ import annotations

import argparse
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightning.pytorch.cli import LightningArgumentParser

from ...pretrained.paths import user_path
from ...pretrained.plain_yaml import dump_yaml, parse_yaml, read_yaml
from ...pretrained.plugins import check_imported, import_plugins, read_names
from ...pretrained.run import is_run, run_of
from ...pretrained.run_files import CHECKPOINTS, CONFIG
from ..run_folders.names import ROOT, configuration_name
from ..run_folders.records import find_runs
from .configs import find_config
from .errors import near
from .plugins import split_plugins
from .sections import SECTIONS, Given, Section, find_class, import_path, registry_names


@dataclass(frozen=True)
class Configuration:
    """Command line as the parser takes it.

    Attributes:
        arguments: command, at most one ``--config`` with a text, and the options that the parser reads by itself.
        files: configuration files, in their order.
        sections: ``model`` and ``data``, where they are named.
    """

    arguments: list[str]
    files: list[Path]
    sections: dict[str, Section]

    @classmethod
    def read(cls, arguments: Sequence[str], names: Sequence[str] = tuple(SECTIONS)) -> Configuration:
        """Read the files, merge the options of model and data into them, and check their parts.

        Args:
            arguments: command and options, as typed.
            names: sections that name a class. A test of something trained has none: its classes are known.

        Raises:
            ValueError: a file that is missing or malformed, files of different models or data, an unknown name, a part
                with a wrong option, a class in the arguments of model or data.
        """
        command, *options = arguments
        plugins, options = split_plugins(options)
        import_plugins(plugins)
        paths, typed, rest = _split(options, names)
        if names and not paths and not any(option.name for _, option in typed):
            paths = _files_of_run(command, rest)
        files = [(path, _read_file(path, names)) for path in paths]
        plugins += [name for path, content in files for name in _recorded_plugins(path, content)]
        # All are searched for classes before the first class is imported.
        given = {
            name: [Given.of_entry(name, str(path), content[name]) for path, content in files if name in content]
            + [option for section, option in typed if section == name]
            for name in names
        }
        sections = {name: Section(name, items) for name, items in given.items() if any(item.name for item in items)}
        known = [leaf for section in sections.values() for leaf in section.leaves()]
        merged: dict[str, Any] = {}
        for _, content in files:
            merged = _merge(merged, {name: value for name, value in content.items() if name not in names})
        merged |= {"plugin": list(dict.fromkeys(plugins))} if plugins else {}
        rest = [_full_help(token, sections) for token in rest]
        for name, section in sections.items():
            section.check(known)
            merged[name] = {"class_path": import_path(section.kind), "init_args": section.arguments}
            rest += [token for item in section.rest for token in item.tokens]
        text = ["--config", dump_yaml(merged, flow=True)] if merged else []
        return cls([command, *text, *rest], paths, sections)

    @property
    def name(self) -> str:
        """Name of the runs: that of the first file, or ``<model>_<data>``."""
        if self.files:
            return configuration_name(self.files[0])
        names = registry_names()
        paths = [import_path(section.kind) for section in self.sections.values()]
        return "_".join(names.get(path, path.rpartition(".")[2].lower()) for path in paths)

    @property
    def notes(self) -> list[str]:
        """What the files have and the named classes do not take, a line for each section."""
        return [section.note for section in self.sections.values() if section.note]

    @property
    def known(self) -> list[str]:
        """Full names of the options of model and data, those of their parts included."""
        return [leaf for section in self.sections.values() for leaf in section.leaves()]


class ZooParser(LightningArgumentParser):
    """Parser that prints and saves models and data by their registry names."""

    def dump(self, *args: Any, **kwargs: Any) -> str:
        """Return a configuration as YAML, after the header."""
        text = super().dump(*args, **kwargs)
        header = "".join(f"# {line}\n" for line in self.dump_header or [])
        return header + dump_yaml(with_registry_names(parse_yaml(text)))


def with_registry_names(content: dict[str, Any]) -> dict[str, Any]:
    """Return a parsed configuration with the registry names of model and data in the place of import paths."""
    names, named = registry_names(), dict(content)
    for section in SECTIONS:
        if isinstance(entry := content.get(section), Mapping) and "class_path" in entry:
            named[section] = {**entry, "class_path": names.get(entry["class_path"], entry["class_path"])}
    return named


def _split(options: Sequence[str], names: Sequence[str]) -> tuple[list[Path], list[tuple[str, Given]], list[str]]:
    """Split into files of ``--config``, options of the sections by section, and all other options as typed."""
    files: list[Path] = []
    typed: list[tuple[str, Given]] = []
    rest: list[str] = []
    tokens = deque(options)
    while tokens:
        token = tokens.popleft()
        if token.startswith("-c"):
            token = f"--config={token[2:].removeprefix('=')}" if token != "-c" else "--config"
        option, equals, value = token.partition("=")
        section, *path = option.removeprefix("--").split(".")
        if option != "--config" and not (option.startswith("--") and section in names):
            rest.append(token)
        elif path == ["help"]:
            value = tokens.popleft() if not equals and tokens and not tokens[0].startswith("-") else value
            rest.append(f"{option}={import_path(find_class(section, value))}" if value else option)
        elif not equals and not tokens:
            raise ValueError(f"{option} needs a value")
        else:
            given = [token] if equals else [token, tokens.popleft()]
            value = value if equals else given[1]
            if option == "--config":
                files.append(find_config(value))
            else:
                typed.append((section, Given.of_option(given, [section, *path], value)))
    return files, typed, rest


def _files_of_run(command: str, options: Sequence[str]) -> list[Path]:
    """Return the configuration file of the run that ``fit --ckpt_path RUN`` goes on with, if nothing else names one.

    Raises:
        FileNotFoundError: there is no such run or checkpoint; the nearest run is named.
        ValueError: a run for a command that trains nothing; it takes the run itself.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--ckpt_path", nargs="?")
    given = parser.parse_known_args(list(options))[0].ckpt_path
    path = user_path(given or "")
    run = path if is_run(path) else run_of(path) if path.is_file() else None
    if not given or given in CHECKPOINTS or (path.is_file() and run is None):
        return []
    if run is None:
        known = [str(folder) for folder in find_runs(ROOT) if is_run(folder)] if ROOT.is_dir() else []
        remedy = near(given, known) or "; `list runs` names them"
        raise FileNotFoundError(f"there is no run or checkpoint '{given}'{remedy}")
    if command != "fit":
        raise ValueError(f"--ckpt_path goes with --config; a run is measured by `{command} {given}`")
    return [run / CONFIG]


def _full_help(token: str, sections: Mapping[str, Section]) -> str:
    """Return ``--model.help`` with the class that is configured; any other option as it is.

    Raises:
        ValueError: the help of a section in which nothing names a class.
    """
    section = token.removeprefix("--").removesuffix(".help")
    if section not in SECTIONS or token != f"--{section}.help":
        return token
    if section not in sections:
        raise ValueError(f"{token} needs a class: {token}=NAME, or --config CONFIGURATION")
    return f"{token}={import_path(sections[section].kind)}"


def _read_file(path: Path, names: Sequence[str]) -> dict[str, Any]:
    content = read_yaml(path)
    for name in content:
        first, dot, _ = name.partition(".")
        if first == "config":
            raise ValueError(f"{path}: a configuration names no other; give both, --config A --config B")
        if dot and first in names:
            raise ValueError(f"{path}: '{name}' must be written as mappings, {first}: {{...}}")
    return content


def _recorded_plugins(path: Path, content: dict[str, Any]) -> list[str]:
    """Take the plugins that a file names; ValueError for one that is not imported."""
    try:
        names = read_names(content.pop("plugin", None))
        check_imported(names)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return names


def _merge(base: Any, other: Any) -> Any:
    """Merge mappings at every depth; all else is replaced, and so is a mapping by one that names a class."""
    if not isinstance(base, Mapping) or not isinstance(other, Mapping) or "class_path" in other:
        return other
    return {**base, **{name: _merge(base[name], value) if name in base else value for name, value in other.items()}}
