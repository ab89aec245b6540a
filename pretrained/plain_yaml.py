"""YAML of plain values, read within bounds: a configuration from elsewhere must not run code or fill the memory."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import yaml

MAX_BYTES = 1 << 18
MAX_DEPTH = 32
MAX_NUMBER = 1 << 63  # longer numbers, written in hexadecimal, could not be printed
MAX_VALUES = 100_000  # after aliases are replaced by what they stand for
TAG = "tag:yaml.org,2002:"
MERGE = f"{TAG}merge"
BREAKS = frozenset("\x85\u2028\u2029")
PLAIN = {f"{TAG}{name}" for name in ("null", "bool", "int", "float", "str")}


class _Loader(yaml.SafeLoader):
    """Safe loader that reads ``1e-3`` as a number, as YAML 1.2 does, and dates as text."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != f"{TAG}timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


class _Dumper(yaml.SafeDumper):
    """Safe dumper that writes no aliases, and quotes every text that a loader of either version may not read as one."""

    def ignore_aliases(self, data: Any) -> bool:
        """Return True: what is repeated is written again."""
        return True

    def represent_str(self, data: str) -> yaml.ScalarNode:
        """Escape the line breaks that PyYAML does not read as it writes them."""
        return self.represent_scalar(f"{TAG}str", data, style='"' if BREAKS.intersection(data) else None)


_Dumper.add_representer(str, _Dumper.represent_str)

for kind in (_Loader, _Dumper):
    kind.add_implicit_resolver(
        f"{TAG}float", re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
    )


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a file that holds one mapping.

    Raises:
        ValueError: not UTF-8, too large, no YAML, empty or no mapping, a repeated key, a value that is not plain; the
            file is named.
        OSError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise ValueError(f"it is larger than {MAX_BYTES} bytes")
        content = parse_yaml(data.decode("utf-8-sig"))
        if content is None:
            raise ValueError("it is empty")
        if not isinstance(content, dict):
            raise ValueError(f"it must map names to values, and holds a {type(content).__name__}")
    except UnicodeDecodeError:
        raise ValueError(f"{path}: it is not UTF-8") from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return content


def parse_yaml(text: str) -> Any:
    """Parse one document: None, switches, numbers, texts, lists, and mappings whose keys are texts.

    Raises:
        ValueError: no YAML, a repeated key, another type, too deep or too many values; the line is named.
    """
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        return None if node is None else _Values(loader).value(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        raise ValueError(f"it is no YAML: {error.problem or error.context}{place}") from None
    except yaml.YAMLError as error:  # a character that YAML forbids
        raise ValueError(f"it is no YAML: {str(error).splitlines()[0]}") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def dump_yaml(content: Any, flow: bool = False) -> str:
    """Return plain values as a document that ``parse_yaml`` reads as the same values; with ``flow`` in one line."""
    width = math.inf if flow else 80
    return yaml.dump(
        content, Dumper=_Dumper, default_flow_style=flow, allow_unicode=not flow, sort_keys=False, width=width
    )


class _Values:
    """Values of the nodes of one document. An alias is the node that it stands for, and counts each time."""

    def __init__(self, loader: _Loader) -> None:
        self.loader, self.count = loader, 0

    def value(self, node: yaml.Node, depth: int = 0) -> Any:
        """Return the value of a node; errors are those of ``parse_yaml``."""
        self.count += 1
        if depth > MAX_DEPTH:
            raise ValueError(f"it is nested too deeply ({_line(node)})")
        if self.count > MAX_VALUES:
            raise ValueError(f"it has more than {MAX_VALUES} values ({_line(node)})")
        if isinstance(node, yaml.MappingNode) and node.tag == f"{TAG}map":
            return self.mapping(node, depth)
        if isinstance(node, yaml.SequenceNode) and node.tag == f"{TAG}seq":
            return [self.value(item, depth + 1) for item in node.value]
        if isinstance(node, yaml.ScalarNode) and node.tag in PLAIN:
            try:
                node.value.encode("utf-8")  # half a surrogate pair cannot be written again
                value = self.loader.construct_object(node)
            except Exception as error:  # such as `!!int x`, `!!bool x`, `!!float` of nothing: of several types
                said = str(error) if isinstance(error, ValueError) else f"no {node.tag.removeprefix(TAG)}"
                raise ValueError(f"{said} ({_line(node)})") from None
            if type(value) is int and not -MAX_NUMBER <= value <= MAX_NUMBER:
                raise ValueError(f"a whole number has more than 64 bits ({_line(node)})")
            return value
        raise ValueError(f"a value is not plain: {node.tag.removeprefix(TAG)} ({_line(node)})")

    def mapping(self, node: yaml.MappingNode, depth: int) -> dict[str, Any]:
        """Return a mapping; its own keys override those of ``<<``."""
        merged: dict[str, Any] = {}
        found: dict[str, Any] = {}
        lines: dict[str, str] = {}
        for key_node, value_node in node.value:
            key, value = key_node.value, self.value(value_node, depth + 1)
            if key_node.tag == MERGE:
                for source in value if isinstance(value, list) else [value]:
                    if not isinstance(source, dict):
                        raise ValueError(f"`<<` takes a mapping ({_line(key_node)})")
                    merged = {**source, **merged}
            elif key_node.tag != f"{TAG}str":
                raise ValueError(f"a key must be a text ({_line(key_node)})")
            elif key in found:
                raise ValueError(f"the key '{key}' is there twice ({lines[key]} and {_line(key_node)})")
            else:
                found[key], lines[key] = value, _line(key_node)
        return {**merged, **found}


def _line(node: yaml.Node) -> str:
    return f"line {node.start_mark.line + 1}"
