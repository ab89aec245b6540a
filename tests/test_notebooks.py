"""Notebooks: their code runs here as it is, and in a kernel gives the outputs that are kept in the tree."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import gumbelzoo
import matplotlib
import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(gumbelzoo.__file__).parent / "docs/notebooks"
NOTEBOOKS = sorted(path.stem for path in FOLDER.glob("*.ipynb"))
LARGEST = 120_000  # bytes of a notebook with its outputs
NUMBER = re.compile(r"-?\d+\.\d+")


def cells(name: str, kind: str) -> list[dict[str, Any]]:
    content = json.loads((FOLDER / f"{name}.ipynb").read_text(encoding="utf-8"))
    return [cell for cell in content["cells"] if cell["cell_type"] == kind]


def printed(outputs: list[dict[str, Any]]) -> str:
    return "".join("".join(output["text"]) for output in outputs if output["output_type"] == "stream")


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebook_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every code cell, in order, in one namespace, with few steps of training."""
    monkeypatch.chdir(tmp_path)
    scope: dict[str, Any] = {}
    with matplotlib.rc_context({"backend": "agg"}):
        for number, cell in enumerate(cells(name, "code")):
            source = re.sub(r"steps=\d+", "steps=5", "".join(cell["source"]))
            exec(compile(source, f"{name}, cell {number}", "exec"), scope)
        scope["plt"].close("all")


@pytest.mark.slow
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_kept_outputs_are_those_of_a_kernel(name: str, tmp_path: Path) -> None:
    """The text is the same, its numbers up to rounding on another machine; the number of pictures is the same."""
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    kept = [cell.outputs for cell in notebook.cells if cell.cell_type == "code"]
    resources = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=280, resources=resources).execute()
    for before, cell in zip(kept, cells_of(notebook), strict=True):
        old, new = printed(before), printed(cell.outputs)
        assert NUMBER.sub("", old) == NUMBER.sub("", new)
        assert list(map(float, NUMBER.findall(new))) == pytest.approx(list(map(float, NUMBER.findall(old))), abs=0.11)
        assert pictures(before) == pictures(cell.outputs)


def cells_of(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def pictures(outputs: list[dict[str, Any]]) -> int:
    return sum("image/png" in output.get("data", {}) for output in outputs)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebook_is_small_and_complete(name: str) -> None:
    """Outputs are kept, so that a page of the repository shows the plots, and they are small."""
    assert (FOLDER / f"{name}.ipynb").stat().st_size < LARGEST
    code = cells(name, "code")
    assert sum(pictures(cell["outputs"]) for cell in code) > 0
    assert all("execution" not in cell["metadata"] for cell in code)
    assert not any(output["output_type"] == "error" for cell in code for output in cell["outputs"])
    text = "".join("".join(cell["source"]) for cell in cells(name, "markdown"))
    for link in re.findall(r"\]\((?!http)([^)#]+)", text):
        assert (FOLDER / link).exists()
