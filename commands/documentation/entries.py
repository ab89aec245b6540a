"""Kinds of parts and their entries, as ``gumbelzoo list`` describes them."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .syntax import (
    Definition,
    assigned,
    constructor,
    docstring,
    is_dataclass,
    literal,
    section,
    signature,
    summary,
)

PAPER = re.compile(r"arXiv:(\d{4}\.\d{4,5})")


@dataclass(frozen=True)
class Option:
    """An argument that a spec may give.

    Attributes:
        name: the argument.
        type: its annotation, as written.
        default: its default, as written; None if it is required.
        documentation: its description in the docstring's ``Args``.
        part: the kind of part that it chooses; empty for other arguments.
    """

    name: str
    type: str
    default: str | None
    documentation: str
    part: str


@dataclass(frozen=True)
class Fact:
    """A class attribute with a plain value.

    Attributes:
        value: what it is.
        documentation: the comment on its line, or its description in the docstring's ``Attributes``.
    """

    value: Any
    documentation: str


@dataclass(frozen=True)
class Kind:
    """A registry, or a dataclass of options.

    Attributes:
        name: such as "estimator".
        context: arguments that the caller passes to every entry.
        entries: by name; the one entry of a dataclass has the empty name.
    """

    name: str
    context: tuple[str, ...]
    entries: dict[str, Entry]


@dataclass(frozen=True)
class Entry:
    """A registered object, or a dataclass of options.

    Attributes:
        name: in the registry.
        context: arguments that the caller passes.
        lineage: the definition, then its bases.
        parts: kinds of the arguments that are specs or groups of options.
        bound: number of first arguments that a ``partial`` fills in.
    """

    name: str
    context: tuple[str, ...]
    lineage: Sequence[Definition]
    parts: Mapping[str, Kind]
    bound: int = 0

    @property
    def object(self) -> str:
        """Name of the class or function; empty for other objects."""
        return getattr(self.lineage[0].node, "name", "")

    @property
    def file(self) -> str:
        """Path within the package."""
        return self.lineage[0].module.file.as_posix()

    @property
    def summary(self) -> str:
        """First paragraph of the docstring; for an object made by a call, the first text that the call is given."""
        node = self.lineage[0].node
        texts = [literal(argument) for argument in node.args] if isinstance(node, ast.Call) else []
        return summary(docstring(node)) or next((text for text in texts if isinstance(text, str)), "")

    @property
    def papers(self) -> list[str]:
        """arXiv numbers in the docstrings of the object and of its module."""
        first = self.lineage[0]
        return list(dict.fromkeys(PAPER.findall(docstring(first.node) + docstring(first.module.tree))))

    @property
    def facts(self) -> dict[str, Fact]:
        """Class attributes with plain values, inherited ones too; an empty text says nothing and is left out."""
        values: dict[str, Any] = {}
        notes: dict[str, str] = {}
        for definition in reversed(self.lineage):
            if not isinstance(definition.node, ast.ClassDef) or is_dataclass(definition.node):
                continue
            notes |= section(docstring(definition.node), "Attributes")
            for node in definition.node.body:
                comment = definition.module.comment(node)
                for name, value in assigned(node):
                    notes |= {name: comment} if comment else {}
                    values |= {name: literal(value, default=...)} if value else {}
        shown = {name: value for name, value in values.items() if value not in (..., "") and not name.startswith("_")}
        return {name: Fact(value, notes.get(name, "")) for name, value in shown.items()}

    @property
    def options(self) -> list[Option]:
        """Arguments of the signature, without the context."""
        notes: dict[str, str] = {}
        for definition in reversed(self.lineage):
            for node in (definition.node, constructor(definition.node)):
                notes |= section(docstring(node), "Args")
        kinds = {name: kind.name for name, kind in self.parts.items()}
        return [
            Option(name, annotation, default, notes.get(name, ""), kinds.get(name, ""))
            for name, annotation, default in signature(self.lineage)[self.bound :]
            if name not in self.context
        ]

    def keyword(self, attribute: str, name: str) -> Any:
        """Return keyword ``name`` of the call that sets a class attribute: ``card = ModelCard(metrics=...)``."""
        for definition in self.lineage:
            for node in getattr(definition.node, "body", []):
                for target, value in assigned(node):
                    if target == attribute and isinstance(value, ast.Call):
                        return literal({keyword.arg: keyword.value for keyword in value.keywords}.get(name))
        return None

    def describe(self) -> dict[str, Any]:
        """Return everything above as plain values."""
        return {
            "name": self.name,
            "object": self.object,
            "file": self.file,
            "summary": self.summary,
            "options": [vars(option) for option in self.options],
            "facts": {name: vars(fact) for name, fact in self.facts.items()},
            "papers": self.papers,
        }
