"""The shape of the house: imports run one way, families do not know each other, files stay short."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import gumbelzoo

ROOT = Path(gumbelzoo.__file__).parent
# An import leads to a lower floor, or stays in its room. Rooms of one floor do not know each other.
FLOORS = (
    {"byte_pairs.py", "pretrained/pickles.py", "pretrained/run_files.py"},
    {"archives.py", "plots.py", "ranges.py", "registry.py", "vocabulary.py", "pretrained/paths.py"},
    {"interfaces.py", "evaluation", "pretrained/untrusted.py"},
    {"data", "models/relaxed", "models/networks", "models/inputs.py", "models/run_length.py"},
    {"models/quantizers", "models/base.py", "models/class_names.py"},
    {"models/networks/image_classifier.py"},  # a base class of models
    {"models/FAMILY"},
    {"models/__init__.py"},
    {"pretrained"},
    {"callbacks"},
    {"commands"},
    {"explore"},
    {"commands/explore.py"},
    {"train.py", "__init__.py"},
    {"__main__.py"},
)
LONGEST = 260  # lines of a file
LONGER: dict[str, str] = {}  # files that may be longer, with the reason
SIGNATURES = {"registry.py"}  # reads signatures for its messages


def files(*folders: str) -> list[Path]:
    return [path.relative_to(ROOT) for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


FILES = [
    *(path.relative_to(ROOT) for path in sorted(ROOT.glob("*.py"))),
    *files("callbacks", "commands", "data", "evaluation", "explore", "models", "pretrained"),
]


@cache
def imports(path: Path, at_once: bool = False) -> frozenset[Path]:
    """Files of the package that a file imports, anywhere or ``at_once``: when it is imported itself."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    nodes = tree.body if at_once else list(ast.walk(tree))
    return frozenset(file for node in nodes if isinstance(node, ast.ImportFrom) for file in targets(path, node))


def targets(path: Path, node: ast.ImportFrom) -> Iterator[Path]:
    """Files behind ``from .a import b``: ``a/b.py`` or ``a/b/__init__.py``, else ``a.py`` or ``a/__init__.py``."""
    first, *rest = (node.module or "").split(".")
    if not node.level and first != "gumbelzoo":
        return
    home = path.parents[node.level - 1].joinpath(first, *rest) if node.level else Path(*rest)
    for alias in node.names:
        choices = (home / f"{alias.name}.py", home / alias.name / "__init__.py", Path(f"{home}.py"))
        yield next((file for file in choices if (ROOT / file).is_file()), home / "__init__.py")


def floor(path: Path) -> int:
    """Number of the floor that a file is on; a room of ``models/`` that is on none is a family's."""
    name = room(path)
    name = "models/FAMILY" if name.startswith("models/") and not has_floor(name) else name
    return next(number for number, rooms in enumerate(FLOORS) if name in rooms)


def room(path: Path) -> str:
    """A file that has a floor of its own, else a folder of the root or of ``models/``."""
    return str(path) if has_floor(str(path)) else "/".join(path.parts[: 2 if path.parts[0] == "models" else 1])


def has_floor(name: str) -> bool:
    return any(name in rooms for rooms in FLOORS)


def test_imports_lead_downwards() -> None:
    """So models know neither pretrained nor data nor commands, data knows no model, a family no other family."""
    version = Path("__init__.py")  # imports the rest when it is asked for it
    pairs = [(path, other) for path in FILES for other in imports(path) - {version} if room(path) != room(other)]
    assert [f"{path} imports {other}" for path, other in pairs if floor(other) >= floor(path)] == []
    assert [
        f"{path} imports {other}" for path, other in pairs if path.parts[0] == "models" and room(other) == "data"
    ] == []


def test_layer_needs_no_lightning() -> None:
    """Relaxed sampling is of use in any loop."""
    lightning = re.compile(r"^\s*(from|import) lightning", re.MULTILINE)
    assert [path for path in files("models/relaxed") if lightning.search((ROOT / path).read_text())] == []


def test_no_import_circle() -> None:
    graph = {path: imports(path, at_once=True) - {path} for path in FILES}
    assert set(TopologicalSorter(graph).static_order()) >= set(FILES)


def test_models_have_few_floors() -> None:
    """Imports between the rooms of ``models/`` are six deep at most."""
    graph: dict[str, set[str]] = {}
    for path in files("models"):
        graph.setdefault(room(path), set()).update({room(other) for other in imports(path)} - {room(path)})
    height: dict[str, int] = {}
    for name in TopologicalSorter(graph).static_order():
        height[name] = name.startswith("models/") + max((height[other] for other in graph.get(name, ())), default=0)
    assert max(height.values()) <= 6, height


def test_files_are_short() -> None:
    length = {str(path): len((ROOT / path).read_text().splitlines()) for path in [*FILES, *files("benchmarks")]}
    assert {path: lines for path, lines in length.items() if lines > LONGEST and path not in LONGER} == {}


def test_signatures_are_no_dispatch() -> None:
    """A renamed argument would silently stop being passed."""
    reads = re.compile(r"inspect\.signature|from inspect import .*signature")
    assert {str(path) for path in FILES if reads.search((ROOT / path).read_text())} <= SIGNATURES
