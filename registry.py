"""A name -> object table filled by decorator; unknown names are answered with the nearest known one."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from fnmatch import fnmatch
from typing import Any, Generic, TypeVar

T = TypeVar("T")


def unknown_name(kind: str, name: str, known: Iterable[str]) -> str:
    """The message for a name nobody knows: the nearest known names first, then all of them."""
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"did you mean '{near[0]}'? " if near else ""
    return f"unknown {kind}: '{name}'; {hint}known: {', '.join(known) or 'none'}"


def unknown_arguments(
    owner: str, function: Callable[..., Any], arguments: Mapping[str, Any], given: Collection[str] = ()
) -> None:
    """ValueError naming the nearest known argument if ``function`` does not take one of ``arguments``.

    Those in ``given`` are not asked for: the caller fills them in.
    """
    known = [name for name in inspect.signature(function).parameters if name not in given]
    for key in arguments:
        if key not in known:
            raise ValueError(unknown_name(f"argument of {owner}", key, known))


class Registry(Generic[T]):
    """Objects of one ``kind`` ("estimator", "model", ...) under their names."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, T] = {}

    def register(self, name: str) -> Callable[[T], T]:
        """Decorator that files an object under ``name``; a second object of that name is a ValueError."""

        def add(entry: T) -> T:
            if name in self._entries:
                raise ValueError(f"{self.kind} '{name}' is registered twice")
            self._entries[name] = entry
            return entry

        return add

    def __getitem__(self, name: str) -> T:
        """Return the entry; ValueError naming the nearest known one if there is none."""
        if name not in self._entries:
            raise ValueError(unknown_name(self.kind, name, self._entries))
        return self._entries[name]

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def names(self, pattern: str = "*") -> list[str]:
        """Sorted names that match a shell pattern."""
        return sorted(name for name in self._entries if fnmatch(name, pattern))
