"""Named parts: registries filled by a decorator, and the specs by which configurations choose parts.

A spec is a part's name, or ``{name: ..., options}``. It reads the same in YAML, in Python and in ``config.json``.

Modules outside of the package add their own parts, with the same decorators. Those of installed packages that the
entry-point group ``gumbelzoo.plugins`` names are imported when a name is not known without them.
"""

from __future__ import annotations

import dataclasses
import difflib
import inspect
import sys
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from fnmatch import fnmatch
from numbers import Real
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar
from weakref import WeakSet

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint
    from types import FrameType

T = TypeVar("T")
D = TypeVar("D")

PACKAGE = __name__.partition(".")[0]
GROUP = "gumbelzoo.plugins"  # of entry points

# A bare `dict`: jsonargparse instantiates a nested `class_path` inside a mapping whose values have a type.
Spec = str | dict


def unknown_name(kind: str, name: str, known: Iterable[str], listed: str | None = None) -> str:
    """Return the message for an unknown name: the nearest known name first, then all of them, or where they are."""
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"did you mean '{near[0]}'? " if near else ""
    listed = listed or f"known: {', '.join(known) or 'none'}"
    return f"unknown {kind}: '{name}'; {hint}{listed}"


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
    return value.item() if isinstance(value, Real) and hasattr(value, "item") else value  # NumPy's numbers


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
        base: class that parts from outside of the package must extend; None for any class or function.

    Attributes:
        plugins: module that registered a name, for those from outside of the package.
    """

    everyone: ClassVar[WeakSet[Registry[Any]]] = WeakSet()

    def __init__(self, kind: str, context: Collection[str] = (), base: type | None = None) -> None:
        self.kind, self.context, self.base = kind, tuple(context), base
        self._entries: dict[str, T] = {}
        self.plugins: dict[str, str] = {}
        self.everyone.add(self)

    def register(self, name: str) -> Callable[[T], T]:
        """Decorator that adds an object under ``name``.

        A class or function takes the place of its earlier self, as in a cell of a notebook that is run again.

        Raises:
            ValueError: the name is taken by another one; or an object from outside of the package does not extend the
                base class, or does not take the context.
        """

        def add(entry: T) -> T:
            if name in self._entries and not _is_same(entry, self._entries[name]):
                raise ValueError(f"{self.kind} '{name}' is registered twice")
            module = _running_module()
            if module.partition(".")[0] != PACKAGE:
                self._check_base(name, entry)
                self._check_context(name, entry)
            if module.partition(".")[0] not in ("", "__main__", PACKAGE):
                self.plugins[name] = module
            self._entries[name] = entry
            return entry

        return add

    def _check_base(self, name: str, entry: T) -> None:
        if self.base and not (isinstance(entry, type) and issubclass(entry, self.base)):
            raise ValueError(f"{self.kind} '{name}' must be a class that extends {self.base.__name__}")

    def _check_context(self, name: str, entry: T) -> None:
        if not callable(entry):
            return
        taken = inspect.signature(entry).parameters
        missing = [argument for argument in self.context if argument not in taken]
        if missing and not any(parameter.kind is parameter.VAR_KEYWORD for parameter in taken.values()):
            raise ValueError(f"{self.kind} '{name}' must take the argument {missing[0]}, which its caller passes")

    def forget(self, names: Iterable[str]) -> None:
        """Take back what a plugin registered."""
        for name in names:
            del self._entries[name], self.plugins[name]

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
        if name not in self:
            raise ValueError(unknown_name(self.kind, name, self._entries))
        return self._entries[name]

    def __contains__(self, name: object) -> bool:
        if name not in self._entries:
            import_installed()
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def names(self, pattern: str = "*") -> list[str]:
        """Return the sorted names that match a shell pattern."""
        return sorted(name for name in self._entries if fnmatch(name, pattern))


# -- modules outside of the package -----------------------------------------------------------------------------------

_met: set[str] = set()  # entry points that were imported, or failed


def installed_plugins() -> list[EntryPoint]:
    """Return the plugins of installed packages, without importing them."""
    from importlib.metadata import entry_points  # takes longer than all of this file

    return sorted(entry_points(group=GROUP))


def import_installed() -> None:
    """Import the plugins of installed packages, each once; one that fails is a warning, and the others work."""
    for plugin in installed_plugins():
        if plugin.value not in _met:
            _met.add(plugin.value)
            try:
                plugin.load()
            except (Exception, SystemExit) as error:  # whatever the code of others raises
                said = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
                warnings.warn(f"the installed plugin '{plugin.name}' is left out: {said}", stacklevel=2)


def _running_module() -> str:
    """Name of the module whose body is run, so that it registers something; empty if there is none."""
    frame: FrameType | None = sys._getframe()
    while frame is not None and frame.f_code.co_name != "<module>":
        frame = frame.f_back
    return "" if frame is None else str(frame.f_globals.get("__name__", ""))


def _is_same(one: Any, other: Any) -> bool:
    """True for two versions of one class or function: of the same name in the same module."""
    names = [(getattr(entry, "__module__", None), getattr(entry, "__qualname__", None)) for entry in (one, other)]
    return names[0] == names[1] and None not in names[0]
