"""Plugins: modules of users that register parts, models and data.

They are imported where the user names them, with ``--plugin`` or ``plugins=``. A run and a release record which ones
they need, and no record makes us import: it is compared with the modules that are imported. torch is not imported.
"""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module, invalidate_caches
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

from ..registry import Registry, import_installed, unknown_name
from .paths import user_path
from .untrusted import first_line

T = TypeVar("T")

MAX_PLUGINS = 32
MAX_NAME = 200  # characters
NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")  # of a module


def import_plugins(given: Iterable[str]) -> None:
    """Import plugins, each once. What one registers before it fails is forgotten.

    Args:
        given: names of modules, installed or in the working folder, or paths of ``.py`` files. A file is a module of
            its own name, and may import its neighbours.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: there is no such module, a file has the name of another module, or it cannot be imported.
    """
    for plugin in given:
        before = {registry: set(registry.plugins) for registry in Registry.everyone}
        try:
            _find(plugin)
            import_module(module_name(plugin))
        except (_Unusable, FileNotFoundError):
            raise
        except (Exception, SystemExit) as error:  # whatever the code of users raises
            for registry in Registry.everyone:
                registry.forget(set(registry.plugins) - before.get(registry, set()))
            said = f"{type(error).__name__}: {first_line(error)}{_place_in(error, plugin)}"
            if isinstance(error, SystemExit):
                said = f'it ends the program{_place_in(error, plugin)}; put that under `if __name__ == "__main__":`'
            raise ValueError(f"the plugin '{plugin}' cannot be imported: {said}") from error


def module_name(plugin: str) -> str:
    """Return the name under which a plugin is imported; ValueError if no module can have it."""
    name = Path(plugin).name.removesuffix(".py") if _is_file(plugin) else plugin
    if not NAME.fullmatch(name) or len(name) > MAX_NAME or (_is_file(plugin) and "." in name):
        if plugin.endswith(".py"):
            raise _Unusable(f"the plugin '{plugin[:MAX_NAME]}' has a name that Python cannot import; rename it")
        raise _Unusable(f"a plugin is the name of a module or the path of a .py file, got '{plugin[:MAX_NAME]}'")
    return name


def plugin_files(plugin: str) -> list[tuple[Path, Path]]:
    """Return the source of a plugin, all files of a package. It is not imported, a package around it is.

    Returns:
        Pairs of a file and the folder in which its outermost package lies.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: there is no such module, or it has no source.
    """
    spec = _find(plugin)
    places = [Path(place) for place in spec.submodule_search_locations or [str(spec.origin)]]
    files = [(path, place) for place in places for path in (sorted(place.rglob("*.py")) or [place]) if path.is_file()]
    if not files:
        raise ValueError(f"the plugin '{plugin}' has no source that could be read")
    return [(path, place.parents[module_name(plugin).count(".")]) for path, place in files]


# -- records of runs and releases -------------------------------------------------------------------------------------


def read_names(recorded: Any) -> list[str]:
    """Read the plugins that a file records, one or a list; ValueError for anything else."""
    names = [recorded] if isinstance(recorded, str) else recorded or []
    if not isinstance(names, list) or len(names) > MAX_PLUGINS or not all(map(_is_text, names)):
        raise ValueError(f"plugins must be at most {MAX_PLUGINS} names of modules")
    for name in names:
        module_name(name)
    return names


def _is_text(name: Any) -> bool:
    return isinstance(name, str) and name.isprintable() and len(name) <= MAX_NAME


def check_imported(recorded: Iterable[str]) -> None:
    """Check that recorded plugins have been imported; those of installed packages are imported for it.

    Raises:
        ValueError: one has not been; it says how.
    """
    for plugin in recorded:
        if module_name(plugin) not in sys.modules:
            import_installed()
        if module_name(plugin) not in sys.modules:
            raise ValueError(
                f"it needs the plugin '{plugin}', which is not imported for a file's sake: if you trust it, add "
                f"--plugin {shlex.quote(plugin)}, or in Python plugins=[{plugin!r}]"
            )


def plugins_of(*described: Any) -> list[str]:
    """Return the modules that registered any of the names in nested plain values, sorted."""
    names = {text for value in described for text in _texts(value)}
    found = {module for registry in Registry.everyone for name, module in registry.plugins.items() if name in names}
    return sorted(module for module in found if module in sys.modules)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (Mapping, list, tuple)):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(item)


def imported_class(path: str, base: type[T]) -> type[T] | None:
    """Return a subclass of ``base`` by its import path, if its module has been imported; else None."""
    module, _, attribute = path.rpartition(".")
    found = vars(sys.modules[module]).get(attribute) if module in sys.modules else None
    return found if isinstance(found, type) and issubclass(found, base) else None


def unknown_import(kind: str, path: str, known: Iterable[str]) -> str:
    """Return the message for an import path of a class that has not been imported."""
    remedy = f"if it is your own, add --plugin {path.rpartition('.')[0]}, or import that first"
    return f"{unknown_name(kind, path, known)}; {remedy}"


# -- finding ----------------------------------------------------------------------------------------------------------


class _Unusable(ValueError):
    """Name that is no plugin's."""


def _is_file(plugin: str) -> bool:
    return plugin.endswith(".py") or "/" in plugin or "\\" in plugin


def _find(plugin: str) -> Any:
    """Return the specification of a plugin's module, and put its folder behind all that modules come from.

    Errors are those of ``import_plugins``, and what a package around a module raises.
    """
    name, folder = module_name(plugin), Path.cwd()
    file = user_path(plugin) if _is_file(plugin) else None
    if file is not None:
        if not file.is_file():
            raise FileNotFoundError(f"there is no plugin '{plugin}'; --plugin takes a module or a .py file")
        folder = file.resolve().parent
    elif name in sys.modules:
        return sys.modules[name].__spec__
    invalidate_caches()  # the file may have been written just now
    first = name.partition(".")[0]
    if first not in sys.modules and find_spec(first) is None and str(folder) not in sys.path:
        sys.path.append(str(folder))
    spec = sys.modules[first].__spec__ if first in sys.modules else find_spec(first)
    spec = find_spec(name) if spec is not None and first != name else spec
    if spec is None:
        raise _Unusable(f"there is no module '{plugin}' to import as a plugin, neither installed nor in this folder")
    if file is not None and Path(str(spec.origin)).resolve() != file.resolve():
        raise _Unusable(f"the plugin '{plugin}' has the name of another module, {spec.origin}: rename the file")
    return spec


def _place_in(error: BaseException, plugin: str) -> str:
    """Line of a plugin in which it failed."""
    lines, trace = [], error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_globals.get("__name__") == module_name(plugin):
            lines.append(trace.tb_lineno)
        trace = trace.tb_next
    return f" (line {lines[-1]})" if lines else ""
