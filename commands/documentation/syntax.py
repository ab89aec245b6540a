"""Python source read with ``ast``: definitions, base classes, signatures, docstring sections. Nothing is run."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

SECTION = re.compile(r"^(\w+):\n((?:(?: {4}.*)?\n)*)", flags=re.MULTILINE)
REGISTERING = re.compile(r"^@\w+\(|\bregister\(|\bRegistry\(", flags=re.MULTILINE)  # a decorator may register
ITEM = re.compile(r"^ {4}([\w, ]+?):[ \n](.*(?:\n {8}.*)*)", flags=re.MULTILINE)


class Module:
    """Definitions and imports of one file, by name.

    Args:
        path: of the file.
        root: folder below which its path names it.
        package: name of that folder, if it is a package.
    """

    def __init__(self, path: Path, root: Path, package: tuple[str, ...] = ()) -> None:
        self.text, self.file = path.read_text(encoding="utf-8"), path.relative_to(root)
        self._package = (*package, *self.file.parent.parts)
        self.name = self._package if path.stem == "__init__" else (*self._package, path.stem)

    @cached_property
    def tree(self) -> ast.Module:
        """Parsed at first use, since most files are never asked for what they define."""
        return ast.parse(self.text)

    @cached_property
    def definitions(self) -> dict[str, ast.AST]:
        """Classes, functions and assigned values."""
        found: dict[str, ast.AST] = {}
        for node in self.tree.body:
            if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
                found[node.name] = node
            else:
                found.update({name: value for name, value in assigned(node) if value is not None})
        return found

    @cached_property
    def imports(self) -> dict[str, tuple[tuple[str, ...], str]]:
        """Module, and name there, of each imported name."""
        found = {}
        for node in self.tree.body:
            if isinstance(node, ast.ImportFrom):
                above = self._package[: len(self._package) + 1 - node.level] if node.level else ()
                home = (*above, *filter(None, (node.module or "").split(".")))
                found.update({alias.asname or alias.name: (home, alias.name) for alias in node.names})
        return found

    def comment(self, node: ast.AST) -> str:
        """Return the comment that ends the last line of a statement."""
        return self.text.splitlines()[(getattr(node, "end_lineno", 0) or 1) - 1].partition("  # ")[2]


@dataclass(frozen=True)
class Definition:
    """A class, a function or a value, and the module where it stands."""

    module: Module
    node: ast.AST


class Source:
    """The files of a package, and of modules outside of it.

    Args:
        root: folder of the package.
        folders: which of its folders are read, beside the files in ``root`` itself.
        name: of the package.
        others: files of other modules, each with the folder that its package lies in.

    Attributes:
        modules: all of them by name.
        registering: those that may make a registry or register something.
    """

    def __init__(
        self, root: Path, folders: tuple[str, ...], name: str, others: Iterable[tuple[Path, Path]] = ()
    ) -> None:
        modules, outside = _package_modules(root, folders, name), [Module(path, folder) for path, folder in others]
        self.modules = {module.name: module for module in (*modules, *outside)}
        self.registering = [module for module in modules if REGISTERING.search(module.text)] + outside

    def resolve(self, module: Module, node: ast.AST) -> Definition | None:
        """Return what a name means in a module, followed through imports; None for what is in none of the files."""
        if not isinstance(node, ast.Name):
            return None
        if node.id in module.definitions:
            return Definition(module, module.definitions[node.id])
        home, name = module.imports.get(node.id, (module.name, ""))
        found = self.modules.get(home, module)
        return self.resolve(found, ast.Name(name)) if found is not module else None

    def lineage(self, definition: Definition) -> list[Definition]:
        """Return a class and its bases within the package, nearest first; other definitions alone."""
        found = [definition]
        for base in getattr(definition.node, "bases", []):
            parent = self.resolve(definition.module, base.value if isinstance(base, ast.Subscript) else base)
            found += self.lineage(parent) if parent else []
        # A base that several classes share comes after all of them.
        return [item for index, item in enumerate(found) if item not in found[index + 1 :]]


@cache  # as imports are: a package's files are read once in a process
def _package_modules(root: Path, folders: tuple[str, ...], name: str) -> list[Module]:
    paths = [*root.glob("*.py"), *(path for folder in folders for path in sorted((root / folder).rglob("*.py")))]
    return [Module(path, root, (name,)) for path in paths]


def assigned(node: ast.AST) -> Iterator[tuple[str, ast.AST | None]]:
    """Return names that a statement assigns, with their values; None for a mere annotation."""
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        yield node.target.id, node.value
    elif isinstance(node, ast.Assign):
        for target in node.targets:
            if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                yield from zip(map(ast.unparse, target.elts), node.value.elts, strict=False)
            else:
                yield ast.unparse(target), node.value


def literal(node: ast.AST | None, default: Any = None) -> Any:
    """Return the value of a literal; ``default`` for any other expression."""
    try:
        return default if node is None else ast.literal_eval(node)
    except (ValueError, TypeError):
        return default


def is_dataclass(node: ast.AST) -> bool:
    """True for a class under ``@dataclass``."""
    return any(ast.unparse(decorator).startswith("dataclass") for decorator in getattr(node, "decorator_list", []))


def signature(lineage: Sequence[Definition]) -> list[tuple[str, str, str | None]]:
    """Name, annotation and default (None: required) of each argument of a function, or of a class's constructor."""
    for definition in lineage:
        node = definition.node
        if isinstance(node, ast.ClassDef) and is_dataclass(node):
            return _fields(lineage)
        node = constructor(node)
        if isinstance(node, ast.FunctionDef):
            return _arguments(node.args)[node.name == "__init__" :]
    return []


def constructor(node: ast.AST) -> ast.AST:
    """Return the ``__init__`` that a class defines; any other node as it is."""
    body = node.body if isinstance(node, ast.ClassDef) else []
    return next((item for item in body if getattr(item, "name", "") == "__init__"), node)


def _arguments(arguments: ast.arguments) -> list[tuple[str, str, str | None]]:
    positional = [*arguments.posonlyargs, *arguments.args]
    required: list[ast.expr | None] = [None] * (len(positional) - len(arguments.defaults))
    defaults = [*required, *arguments.defaults, *arguments.kw_defaults]
    return [
        (argument.arg, _text(argument.annotation) or "", _text(default))
        for argument, default in zip([*positional, *arguments.kwonlyargs], defaults, strict=True)
    ]


def _fields(lineage: Sequence[Definition]) -> list[tuple[str, str, str | None]]:
    nodes = [node for definition in reversed(lineage) for node in getattr(definition.node, "body", [])]
    fields = {
        node.target.id: (_text(node.annotation) or "", _text(node.value))
        for node in nodes
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }
    return [
        (name, annotation, default)
        for name, (annotation, default) in fields.items()
        if not annotation.startswith("ClassVar") and "init=False" not in (default or "")
    ]


def _text(node: ast.AST | None) -> str | None:
    return None if node is None else ast.unparse(node)


def docstring(node: ast.AST) -> str:
    """Return the docstring of a module, class or function, without indentation; empty where there is none."""
    return (ast.get_docstring(node) or "") if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) else ""


def summary(text: str) -> str:
    """Return the first paragraph of a docstring, in one line."""
    return " ".join(text.partition("\n\n")[0].split())


def section(text: str, title: str) -> dict[str, str]:
    """Return the items of a docstring's section such as ``Args``: name to description, in one line each."""
    for found, body in SECTION.findall(text + "\n"):
        if found == title:
            items = [(names.split(","), " ".join(words.split())) for names, words in ITEM.findall(body)]
            return {name.strip(): words for names, words in items for name in names}
    return {}
