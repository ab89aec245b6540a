"""What the package's registries hold, read from its source: ``gumbelzoo list`` imports no torch and answers at once.

The package's files are read once in a process, plugins each time. These forms of registration are understood, and a
test compares the result with every registry:

    PARTS = Registry("part", context=("dim",))
    @PARTS.register("name")             also      PARTS.register("name")(entry)
    @helper("name")                     where a function ``helper(name)`` calls ``PARTS.register(name)``
    for name, ... in TABLE.items():     where TABLE is a dictionary, then ``PARTS.register(name)(entry)``

Plugins are read in the same way, where they name registries as ``from gumbelzoo.models.quantizers import QUANTIZERS``
does. What they register in another form works as well, and is not listed.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path

from ...pretrained.plugins import plugin_files
from ...registry import unknown_name
from .entries import Entry, Kind
from .syntax import Definition, Module, Source, assigned, is_dataclass, literal

PACKAGE = Path(__file__).resolve().parents[2]
FOLDERS = ("models", "data")
SHORT = {"data": "data module"}  # words that are not the last one of a kind


class Catalogue:
    """Every registry of the package, and every dataclass that is an option of some part.

    Args:
        plugins: modules or files whose parts are entries as well; they are not imported.

    Attributes:
        registries: by the name of their variable, such as ``ESTIMATORS``.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: there is no such module, or it cannot be read.
    """

    def __init__(self, plugins: Iterable[str] = ()) -> None:
        self._source = Source(PACKAGE, FOLDERS, __name__.partition(".")[0], _files(plugins))
        self.registries: dict[str, Kind] = {}
        self._kinds: dict[ast.AST, Kind] = {}  # by the expression that makes the registry
        for module in self._source.registering:
            for variable, node in module.definitions.items():
                if isinstance(node, ast.Call) and ast.unparse(node.func) == "Registry":
                    context = next((keyword.value for keyword in node.keywords if keyword.arg == "context"), None)
                    kind = Kind(literal(node.args[0]), tuple(literal(context, ())), {})
                    self._kinds[node] = self.registries[variable] = kind
        for module in self._source.registering:
            for kind, name, node in self._registrations(module):
                kind.entries[name] = self._entry(kind, name, module, node)

    @cached_property
    def kinds(self) -> dict[str, Kind]:
        """All kinds by name, sorted."""
        waiting, found = list(self.registries.values()), {}
        while waiting:
            kind = waiting.pop()
            if kind.name not in found:
                found[kind.name] = kind
                waiting += [part for entry in kind.entries.values() for part in entry.parts.values()]
        return dict(sorted(found.items()))

    def find(self, word: str) -> Kind:
        """Return the kind that a word means: ``estimators``, ``text-set``, or ``schedule`` for "temperature schedule".

        Raises:
            ValueError: there is none; the nearest is named.
        """
        word = " ".join(re.findall(r"[a-z]+", word.lower()))
        forms = {SHORT.get(word, word), word.removesuffix("s"), word.removesuffix("es")}
        exact = [kind for name, kind in self.kinds.items() if name in forms]
        short = [kind for name, kind in self.kinds.items() if name.split()[-1] in forms]
        if exact or len(short) == 1:
            return (exact or short)[0]
        raise ValueError(unknown_name("kind", word, self.kinds))

    # -- reading ------------------------------------------------------------------------------------------------------

    def _registrations(self, module: Module) -> Iterator[tuple[Kind, str, ast.AST]]:
        """Kind, name and object of each registration in a module."""
        for node in module.tree.body:
            for decorator in getattr(node, "decorator_list", []):
                if found := self._registration(module, decorator):
                    yield found[0], literal(found[1]), node
            if isinstance(node, (ast.Expr, ast.For)):
                names = self._loop_names(module, node)
                for call in [item.value for item in getattr(node, "body", [node]) if isinstance(item, ast.Expr)]:
                    if isinstance(call, ast.Call) and (found := self._registration(module, call.func)):
                        for name in names or [literal(found[1])]:
                            yield found[0], name, call.args[0]

    def _registration(self, module: Module, call: ast.AST) -> tuple[Kind, ast.AST] | None:
        """Kind and name of ``PARTS.register(name)``, or of a call of a function that does it."""
        if not isinstance(call, ast.Call):
            return None
        if isinstance(call.func, ast.Attribute):
            kind = self._kind(module, call.func.value) if call.func.attr == "register" else None
            return (kind, call.args[0]) if kind else None
        helper = self._source.resolve(module, call.func)
        if helper is None or not isinstance(helper.node, ast.FunctionDef):
            return None
        arguments = [argument.arg for argument in helper.node.args.args]
        for inner in ast.walk(helper.node):
            if isinstance(inner, ast.Call) and isinstance(inner.func, ast.Attribute):
                found = self._registration(helper.module, inner)
                if found and (name := ast.unparse(found[1])) in arguments:
                    return found[0], call.args[arguments.index(name)]
        return None

    def _loop_names(self, module: Module, node: ast.AST) -> list[str]:
        """Keys of the dictionary that a loop runs over; nothing for other statements."""
        tables = (
            [item for item in ast.walk(node.iter) if isinstance(item, ast.Name)] if isinstance(node, ast.For) else []
        )
        found = [self._source.resolve(module, table) for table in tables]
        return [literal(key) for table in found if table for key in getattr(table.node, "keys", [])]

    def _entry(self, kind: Kind, name: str, module: Module, node: ast.AST) -> Entry:
        """An entry, with the function that a ``partial`` calls in its place."""
        bound = 0
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "partial":
            bound, node = len(node.args) - 1, node.args[0]
        lineage = self._source.lineage(self._source.resolve(module, node) or Definition(module, node))
        return Entry(name, kind.context, lineage, self._parts(lineage), bound)

    def _parts(self, lineage: Sequence[Definition]) -> dict[str, Kind]:
        """Kinds of the arguments that a class, or the nearest of its bases, declares as its ``parts``."""
        for definition in lineage:
            for node in getattr(definition.node, "body", []):
                for name, value in assigned(node):
                    if name == "parts" and value is not None:
                        return self._read_parts(definition.module, value)
        return {}

    def _read_parts(self, module: Module, node: ast.AST) -> dict[str, Kind]:
        """Read ``{"argument": REGISTRY_or_dataclass, **Base.parts}``."""
        if isinstance(node, ast.Attribute):
            base = self._source.resolve(module, node.value)
            return self._parts(self._source.lineage(base)) if base else {}
        found: dict[str, Kind] = {}
        for key, value in zip(node.keys, node.values, strict=True) if isinstance(node, ast.Dict) else ():
            if key is None:
                found |= self._read_parts(module, value)
            elif kind := self._kind(module, value):
                found[literal(key)] = kind
        return found

    def _kind(self, module: Module, node: ast.AST) -> Kind | None:
        """The kind that a name means in a module, a registry's or a dataclass's; None for other names."""
        definition = self._source.resolve(module, node)
        if definition is None or definition.node in self._kinds:
            return self._kinds[definition.node] if definition else None
        if not is_dataclass(definition.node):
            return None
        lineage = self._source.lineage(definition)
        name = getattr(definition.node, "name", "").removesuffix("Config").lower()
        return Kind(name, (), {"": Entry("", (), lineage, self._parts(lineage))})


def _files(plugins: Iterable[str]) -> Iterator[tuple[Path, Path]]:
    """Files of plugins, each with the folder that its package lies in; ValueError for one that is no Python."""
    for plugin in plugins:
        for file, folder in plugin_files(plugin):
            try:
                ast.parse(file.read_text(encoding="utf-8"))
            except (OSError, SyntaxError, ValueError) as error:
                raise ValueError(f"the plugin '{plugin}' cannot be read: {file}: {error}") from None
            yield file, folder
