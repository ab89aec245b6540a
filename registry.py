"""Named parts: registries filled by a decorator, and the specs by which configurations choose parts.

A spec is a part's name, or ``{name: ..., options}``. It reads the same in YAML, in Python and in ``config.json``.
"""

from __future__ import annotations

import dataclasses
import difflib
import inspect
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from fnmatch import fnmatch
from typing import Any, Generic, TypeVar

T = TypeVar("T")
D = TypeVar("D")

# A bare `dict`: jsonargparse instantiates a nested `class_path` inside a mapping whose values have a type.
Spec = str | dict


def unknown_name(kind: str, name: str, known: Iterable[str]) -> str:
    """Return the message for an unknown name: the nearest known name first, then all of them."""
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"did you mean '{near[0]}'? " if near else ""
    return f"unknown {kind}: '{name}'; {hint}known: {', '.join(known) or 'none'}"


def unknown_arguments(
    owner: str, function: Callable[..., Any], arguments: Iterable[str], context: Collection[str] = ()
) -> None:
    """Check that ``function`` takes ``arguments``.

    Args:
        owner: name of the function in the message.
        function: a class or a function.
        arguments: names that were given.
        context: names that the caller fills in and ``arguments`` must not contain.

    Raises:
        ValueError: an unknown argument; the nearest known one is named.
    """
    known = [name for name in inspect.signature(function).parameters if name not in context]
    for key in arguments:
        if key not in known:
            raise ValueError(unknown_name(f"argument of {owner}", key, known))


def plain(value: Any) -> Any:
    """Convert ``value`` to JSON types: dataclasses and mappings become dicts, tuples become lists."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return plain({field.name: getattr(value, field.name) for field in dataclasses.fields(value) if field.init})
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def from_options(kind: type[D], options: D | Mapping[str, Any]) -> D:
    """Build a dataclass from a mapping of its fields; an instance is returned as it is.

    Raises:
        ValueError: an unknown field, or a value that the dataclass refuses.
    """
    if isinstance(options, kind):
        return options
    if not isinstance(options, Mapping):
        raise ValueError(f"{_label(kind)} must be a mapping of {', '.join(inspect.signature(kind).parameters)}")
    unknown_arguments(_label(kind), kind, options)
    return kind(**options)


def _label(kind: type) -> str:
    """Return a class name as a word: ``OptimizerConfig`` is 'optimizer'."""
    return kind.__name__.removesuffix("Config").lower()


class Registry(Generic[T]):
    """Objects of one kind by name.

    Args:
        kind: name of the kind in messages, such as "estimator".
        context: arguments that the caller of ``build`` passes to every part of this kind. A spec must not give them.
    """

    def __init__(self, kind: str, context: Collection[str] = ()) -> None:
        self.kind, self.context = kind, tuple(context)
        self._entries: dict[str, T] = {}

    def register(self, name: str) -> Callable[[T], T]:
        """Decorator that adds an object under ``name``; ValueError if the name is taken."""

        def add(entry: T) -> T:
            if name in self._entries:
                raise ValueError(f"{self.kind} '{name}' is registered twice")
            self._entries[name] = entry
            return entry

        return add

    def read(self, spec: Spec) -> tuple[str, dict[str, Any]]:
        """Split a spec into name and options.

        Raises:
            ValueError: no name, an unknown one, or an option that the part does not take; the nearest one is named.
        """
        if isinstance(spec, str):
            name, options = spec, {}
        elif isinstance(spec, Mapping) and isinstance(spec.get("name"), str):
            options = dict(spec)
            name = options.pop("name")
        else:
            example = next(iter(self), "NAME")
            raise ValueError(f"{self.kind} must be a name or {{name: ..., options}}, such as {example}; got {spec!r}")
        unknown_arguments(f"{self.kind} '{name}'", self[name], options, self.context)  # type: ignore[arg-type]
        return name, options

    def build(self, spec: Spec, **context: Any) -> Any:
        """Call the entry of a spec with its options and the ``context``; errors are those of ``read`` and the entry."""
        name, options = self.read(spec)
        return self[name](**options, **context)  # type: ignore[operator]

    def __getitem__(self, name: str) -> T:
        """Return an entry; ValueError naming the nearest known one if there is none."""
        if name not in self._entries:
            raise ValueError(unknown_name(self.kind, name, self._entries))
        return self._entries[name]

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def names(self, pattern: str = "*") -> list[str]:
        """Return the sorted names that match a shell pattern."""
        return sorted(name for name in self._entries if fnmatch(name, pattern))
