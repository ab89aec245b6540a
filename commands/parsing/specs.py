"""Specs on the command line: overrides merged in order, then every option checked against its constructor.

A constructor's annotations are read by jsonargparse, which also converts: '4' becomes 4 where an int is expected. Parts
are found through ``parts``, which a class with parts declares.
"""

from __future__ import annotations

from argparse import ArgumentError
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from types import NoneType
from typing import Any, get_args, get_type_hints

from jsonargparse import ArgumentParser, Namespace

from ...pretrained.plain_yaml import parse_yaml
from ...registry import Registry, plain
from .errors import complaint, missing_arguments, near

Part = Registry[Any] | type  # a registry, whose entries a spec chooses from, or a dataclass


class Constructor:
    """Arguments of a class or function, with their types and defaults.

    Args:
        entry: class or function.
        context: arguments that a caller passes; an option of that name is unknown.

    Attributes:
        names: arguments that an option may give.
        parts: those that choose a part, with the registry or dataclass of each.
    """

    def __init__(self, entry: Callable[..., Any], context: Sequence[str] = ()) -> None:
        self._parser = ArgumentParser(exit_on_error=False)
        add = self._parser.add_class_arguments if isinstance(entry, type) else self._parser.add_function_arguments
        added = add(entry, skip=set(context), fail_untyped=False)
        self.names = list(dict.fromkeys(name.partition(".")[0] for name in added))
        self._hints = get_type_hints(vars(entry).get("__init__", entry) if isinstance(entry, type) else entry)
        self.parts: dict[str, Part] = {
            name: part for name, part in getattr(entry, "parts", {}).items() if name in self.names
        }

    def default(self, name: str) -> Any:
        """Return the default of an argument as plain values; None without one."""
        value = self._parser.get_defaults().get(name)
        value = value.as_dict() if isinstance(value, Namespace) else plain(value)
        return value["init_args"] if isinstance(value, dict) and "init_args" in value else value

    def override(self, options: Mapping[str, Any], path: Sequence[str], value: Any) -> dict[str, Any]:
        """Return ``options`` with ``value`` at ``path``.

        A part becomes a text, or a mapping with a name. Any other mapping is merged into the part that is chosen.

        Raises:
            ValueError: another name for a part, which lacks some of its options.
        """
        name, *rest = path
        part = self.parts.get(name)
        if part is None:
            return _nest(options, path, value)
        spec = options[name] if name in options else self.default(name)
        return {**options, name: _override(part, spec, rest, value)}

    def check_parts(self, options: Mapping[str, Any], key: str, known: Sequence[str] = ()) -> dict[str, Any]:
        """Check the names of ``options``, and at every level their parts; return them with converted values.

        Args:
            options: values by argument.
            key: full name of what is constructed, such as ``model``.
            known: full names of all options, for the nearest; default: those below ``key``.

        Raises:
            ValueError: an unknown name, a value of another type, a missing one; the full key is named.
        """
        known = known or list(self.leaves(options, key))
        for name, value in options.items():
            if name not in self.names:
                raise ValueError(f"unknown key '{key}.{name}'{near(f'{key}.{name}', known)}")
            if value is None:
                self.check_null(name, key)
        return {
            name: _check(self.parts[name], value, f"{key}.{name}", known) if self._is_spec(name, value) else value
            for name, value in options.items()
        }

    def check(self, options: Mapping[str, Any], key: str, known: Sequence[str]) -> dict[str, Any]:
        """Check and convert all other values as well; arguments and errors are those of ``check_parts``."""
        checked = self.check_parts(options, key, known)
        try:
            typed = plain(self._parser.parse_object(checked, defaults=False).as_dict())
        except ArgumentError as error:
            if missing := missing_arguments(str(error)):
                raise ValueError(f"{key}.{missing[0]} is missing: it has no default") from None
            raise ValueError(complaint(str(error), key)) from None
        # The parser completes the dataclasses among the parts, which are to stay as short as they were given.
        return {name: value if self._is_spec(name, value) else typed[name] for name, value in checked.items()}

    def check_null(self, name: str, key: str) -> None:
        """Check that an argument may be null, which the parser takes for any; ValueError that names it."""
        hint = self._hints.get(name, Any)
        if hint is not Any and hint is not None and NoneType not in get_args(hint):
            needed = self.default(name) is None  # it is never a default here
            fix = "it has no default, so give a value" if needed else "leave it out for its default"
            raise ValueError(f"{key}.{name} must not be null; {fix}")

    def leaves(self, options: Mapping[str, Any], key: str) -> Iterator[str]:
        """Yield the full names of all options, those of the parts that are chosen included."""
        for name in self.names:
            yield f"{key}.{name}"
            if name in self.parts:
                spec = options[name] if name in options else self.default(name)
                if constructor := _constructor(self.parts[name], spec):
                    yield from constructor.leaves(spec if isinstance(spec, Mapping) else {}, f"{key}.{name}")

    def _is_spec(self, name: str, value: Any) -> bool:
        return name in self.parts and isinstance(value, (str, Mapping))


@cache
def constructor_of(entry: Any, context: Sequence[str] = ()) -> Constructor:
    """Return the ``Constructor`` of a class or function, which is made once."""
    return Constructor(entry, context)


def parse_option(text: str) -> Any:
    """Return a list or mapping that ``text`` writes out; any other text as it is, for the type check to convert.

    Raises:
        ValueError: a list or mapping that is no YAML of plain values.
    """
    try:
        value = parse_yaml(text)
    except ValueError:
        if text.lstrip()[:1] in ("{", "["):
            raise
        return text
    return value if isinstance(value, (list, dict)) else text


def _override(part: Part, spec: Any, path: Sequence[str], value: Any) -> Any:
    if not path:
        value = _number(value)
        if not isinstance(value, Mapping) or "name" in value:
            return value
    options = {"name": spec} if isinstance(spec, str) else dict(spec) if isinstance(spec, Mapping) else {}
    if path == ["name"]:
        _check_renamed(part, options, value)
    constructor = _constructor(part, options)
    for keys, item in [(path, value)] if path else [([name], item) for name, item in value.items()]:
        options = constructor.override(options, keys, item) if constructor else _nest(options, keys, item)
    return options


def _check_renamed(part: Part, options: Mapping[str, Any], name: Any) -> None:
    """Check that the part ``name`` takes the options of the one that it replaces; ValueError that lists the others."""
    constructor = _constructor(part, name)
    extra = [option for option in options if constructor and option not in ("name", *constructor.names)]
    if extra:
        raise ValueError(
            f"'{name}' has no {', '.join(extra)}, which '{options['name']}' was given; "
            "leave out '.name' to take its defaults"
        )


def _number(value: Any) -> Any:
    """A number or null that a text writes out, where a part may be one, as a temperature; other values as they are."""
    try:
        found = parse_yaml(value) if isinstance(value, str) else value
    except ValueError:
        return value
    return value if isinstance(found, (bool, list, dict)) and isinstance(value, str) else found


def _check(part: Part, spec: Any, key: str, known: Sequence[str]) -> Any:
    """Check one part; return a mere name if it has no options."""
    constructor = _constructor(part, spec)
    if constructor is None:
        try:
            part.read(spec)  # type: ignore[union-attr]  # says what is wrong with the name
        except ValueError as error:
            raise ValueError(f"{key}: {error}") from None
    assert constructor is not None
    if isinstance(part, Registry):
        options = {"name": spec} if isinstance(spec, str) else dict(spec)
        name = options.pop("name")
        checked = constructor.check(options, key, known)
        return {"name": name, **checked} if checked else name
    if isinstance(spec, str):
        raise ValueError(f"{key} is a mapping of {', '.join(constructor.names)}; got '{spec}'")
    return constructor.check(spec, key, known)


def _constructor(part: Part, spec: Any) -> Constructor | None:
    """Constructor of the part that a spec chooses; None if it chooses none."""
    if not isinstance(part, Registry):
        return constructor_of(part)
    name = spec.get("name") if isinstance(spec, Mapping) else spec
    return constructor_of(part[name], part.context) if isinstance(name, str) and name in part else None


def _nest(options: Any, path: Sequence[str], value: Any) -> dict[str, Any]:
    """Return ``options`` with ``value`` at ``path``, in mappings."""
    name, *rest = path
    options = dict(options) if isinstance(options, Mapping) else {}
    return {**options, name: _nest(options.get(name), rest, value) if rest else value}
