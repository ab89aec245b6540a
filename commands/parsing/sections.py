"""Sections ``model`` and ``data`` of a configuration: a class by its registry name, and its arguments."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from lightning.pytorch import LightningDataModule

from ...data import DATA
from ...models import MODELS, ZooModel
from ...registry import Registry
from .errors import near, unknown_class
from .specs import Constructor, constructor_of, parse_option

NULL = ("null", "~", "")  # as YAML writes it
SECTIONS: dict[str, tuple[Registry[Any], type]] = {"model": (MODELS, ZooModel), "data": (DATA, LightningDataModule)}


@dataclass(frozen=True)
class Given:
    """Content of one file or one option about a section.

    Attributes:
        origin: the file, or the option without its value.
        name: class, as written; None if it is not named here.
        values: arguments, as path below the section and value.
        tokens: an option of one argument as typed; the parser may take it as it is.
    """

    origin: str
    name: str | None
    values: list[tuple[list[str], Any]]
    tokens: tuple[str, ...] = ()

    @property
    def is_option(self) -> bool:
        """True for an option, False for a file."""
        return self.origin.startswith("--")

    @classmethod
    def of_entry(cls, section: str, origin: str, entry: Any) -> Given:
        """Read a name, or ``{class_path: NAME, init_args: {...}}``.

        Raises:
            ValueError: neither, or a class in the arguments.
        """
        entry = {"class_path": entry} if entry is None or isinstance(entry, str) else entry
        if not _is_entry(entry):
            raise ValueError(f"{origin}: {section} must be a name or {{class_path: NAME, init_args: {{...}}}}")
        arguments = entry.get("init_args") or {}
        _refuse_classes(arguments, section, origin)
        return cls(origin, entry.get("class_path"), [([key], value) for key, value in arguments.items()])

    @classmethod
    def of_option(cls, tokens: Sequence[str], keys: Sequence[str], text: str) -> Given:
        """Read ``--model=NAME``, ``--model={...}`` or ``--model.argument.option=value``.

        Raises:
            ValueError: a value that is no YAML, or a class in the arguments.
        """
        section, *path = keys
        origin = tokens[0].partition("=")[0]
        try:
            value = parse_option(text)
        except ValueError as error:
            raise ValueError(f"{origin}: {error}") from None
        if path == ["init_args"]:
            value = {"init_args": value}
        path = path[1:] if path[:1] == ["init_args"] else path
        if not path or path == ["class_path"]:
            return cls.of_entry(section, origin, value)
        nested = value
        for key in reversed(path):
            nested = {key: nested}
        _refuse_classes(nested, section, origin)
        return cls(origin, None, [(path, value)], tuple(tokens))


class Section:
    """Class of the model or of the data, and its arguments, merged from files and options in their order.

    Args:
        name: ``model`` or ``data``.
        given: what files and options say, files first. One of them must name the class.

    Attributes:
        kind: the class.
        arguments: those of files, and all parts.
        rest: options of other arguments, which the parser takes as they are.
        note: arguments of a file that the class named in its class's place does not take, as a line of text.

    Raises:
        ValueError: files that name different classes, an unknown class.
    """

    def __init__(self, name: str, given: Sequence[Given]) -> None:
        self.name = name
        named = [item for item in given if item.name]
        files = [item for item in named if not item.is_option]
        for item in files[1:]:
            if item.name != files[0].name:
                raise ValueError(
                    f"{files[0].origin} has the {name} '{files[0].name}', {item.origin} '{item.name}'; give one of them"
                )
        self.kind = find_class(name, str(named[-1].name))
        self.constructor = constructor_of(self.kind)
        in_files = constructor_of(find_class(name, str(files[0].name))) if files else self.constructor
        self.arguments: dict[str, Any] = {}
        self.rest: list[Given] = []
        left_out: dict[str, None] = {}
        for item in given:
            for path, value in item.values:
                if item.tokens and path[0] not in self.constructor.parts:
                    self.rest.append(item)
                elif item.is_option or self._takes(path[0], in_files):
                    self._override(item.origin, path, value)
                else:
                    left_out[path[0]] = None
        replaced = f"{named[-1].name} in the place of {files[0].name}" if files else ""
        self.note = f"{replaced}: without {', '.join(left_out)} of {files[0].origin}" if left_out else ""

    def _override(self, origin: str, path: Sequence[str], value: Any) -> None:
        try:
            self.arguments = self.constructor.override(self.arguments, path, value)
        except ValueError as error:
            raise ValueError(f"{origin}: {error}") from None

    def _takes(self, name: str, other: Constructor) -> bool:
        """False for an argument of a file's class that the class named in its place lacks, or means otherwise."""
        own = self.constructor
        return other is own or (name in own.names and own.parts.get(name) is other.parts.get(name))

    def leaves(self) -> Iterator[str]:
        """Yield the full names of all options."""
        return self.constructor.leaves(self.arguments, self.name)

    def check(self, known: Sequence[str]) -> None:
        """Check all names, and the parts with their values; errors are those of ``Constructor.check_parts``."""
        for item in self.rest:
            argument = item.values[0][0][0].removesuffix("+")  # `+=` appends to a list
            if argument not in self.constructor.names:
                raise ValueError(f"unknown option '{item.origin}'{near(item.origin, known)}")
            if item.values[0][1] in NULL:
                self.constructor.check_null(argument, self.name)
        self.arguments = self.constructor.check_parts(self.arguments, self.name, known)


def find_class(section: str, name: str) -> Any:
    """Return a class by its registry name, or a user's own class by its import path.

    Raises:
        ValueError: there is none; the nearest registry name is given.
    """
    registry, base = SECTIONS[section]
    if name in registry:
        return registry[name]
    if "." not in name or not all(part.isidentifier() for part in name.split(".")):
        raise ValueError(unknown_class(section, name, {registry[known].__name__: known for known in registry}))
    module, _, attribute = name.rpartition(".")
    try:
        found = getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"there is no {section} '{name}': {error}") from None
    if not isinstance(found, type) or not issubclass(found, base):
        raise ValueError(f"'{name}' is no {section}: it must be a subclass of {base.__name__}")
    return found


def import_path(kind: type) -> str:
    """Return the path from which a class is imported."""
    return f"{kind.__module__}.{kind.__qualname__}"


def registry_names() -> dict[str, str]:
    """Return the registry name of every registered model and data class by its import path."""
    return {import_path(registry[name]): name for registry, _ in SECTIONS.values() for name in registry}


def _is_entry(entry: Any) -> bool:
    return (
        isinstance(entry, dict)
        and set(entry) <= {"class_path", "init_args"}
        and isinstance(entry.get("class_path"), str | None)
        and isinstance(entry.get("init_args"), dict | None)
    )


def _refuse_classes(value: Any, key: str, origin: str) -> None:
    """ValueError naming the key of a class in arguments, at any depth."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in items:
        if "class_path" in str(name).split("."):
            raise ValueError(f"{origin}: '{key}.{name}' names a class; parts of model and data go by name only")
        _refuse_classes(item, f"{key}.{name}", origin)
