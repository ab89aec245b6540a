"""The sparsification benchmark: its command trains, prunes, resumes and prints, and its goal is judged."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from gumbelzoo.benchmarks.gates import sparsify, sparsify_report, sparsify_rows
from gumbelzoo.benchmarks.gates.sparsify_rows import LAYERS, ROWS, Row, places
from gumbelzoo.data import ImageData
from gumbelzoo.models.gates import SparseClassifier

DIGITS = ["--data.name=digits", "--model.image_shape=[1,8,8]"]


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Run the command on digits with a few rows, a few steps and one seed."""
    monkeypatch.chdir(tmp_path)
    rows = {name: ROWS[name] for name in ("hard_concrete", "dense", "magnitude")}
    for module in (sparsify, sparsify_report):
        monkeypatch.setattr(module, "ROWS", rows)
        monkeypatch.setattr(module, "SEEDS", (0,))
    options = Row.options
    monkeypatch.setattr(Row, "options", lambda row, *given: [*options(row, *given), *DIGITS])
    monkeypatch.setattr(sparsify_rows, "STEPS", {"mlp": 4})
    monkeypatch.setattr(sparsify_rows, "ImageData", lambda *_, **__: ImageData("digits", "none"))
    monkeypatch.setattr(sparsify, "RECORD", tmp_path / "sparsify.json")
    monkeypatch.setattr("torch.set_num_threads", lambda number: None)

    def run(*given: str) -> None:
        monkeypatch.setattr("sys.argv", ["sparsify.py", "--out", "runs", *given])
        sparsify.main()

    return run


@pytest.mark.slow
def test_sparsify_command_resumes(small: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pruned row needs the row whose units it has; finished runs are not trained again."""
    small("--page")
    assert "Not run yet." in (tmp_path / "sparsify.md").read_text()
    with pytest.raises(SystemExit, match="failed: magnitude"):
        small("--only", "magnitude")
    small("--only", "hard_concrete", "magnitude")
    record = json.loads((tmp_path / "sparsify.json").read_text())
    assert set(record) == {"hard_concrete", "magnitude"}
    gates, pruned = (record[name]["runs"]["0"] for name in record)
    assert gates["units"] == pruned["units"] and gates["flops"] == pruned["flops"] > 0
    text = (tmp_path / "sparsify.md").read_text()
    assert "Not run yet: dense." in text and (tmp_path / "sparsify.png").is_file()
    monkeypatch.setattr(sparsify, "train", lambda *arguments: pytest.fail("it is finished"))
    small("--only", "hard_concrete", "magnitude")
    assert json.loads((tmp_path / "sparsify.json").read_text()) == record


@pytest.mark.parametrize("name", ROWS)
def test_sparsify_row_is_read(name: str, describe: Callable[..., Any]) -> None:
    """Its options are those of ``fit``; rows with a penalty have its weight, and controls have none."""
    row = ROWS[name]
    gates = "{name: fixed, open: [0, 900, 1100]}" if row.chosen else ""
    model_class, arguments, _ = describe(row.config, row.options(1, gates))
    if row.config != "sparse_mnist":
        return
    model = model_class(**(arguments if row.chosen else {**arguments, "network": "mlp", "image_shape": (1, 2, 2)}))
    assert getattr(model.cost, "weight", None) == (None if "fixed" in row.gates else row.weight)
    if row.chosen:
        assert model.units() == [1, 1, 1]


def test_units_are_chosen_at_each_place() -> None:
    """As many as asked for, those of the largest scores; a unit that passes nothing on is pruned first."""
    scores = torch.tensor([0.1, 0.9, 0.5, 3.0, 2.0, 1.0, 7.0])
    assert places([3, 3, 1], scores, [2, 1, 1]) == [1, 2, 3, 6]
    dense = SparseClassifier((1, 2, 2), 3, {"name": "mlp", "hidden": [3]}, gates="fixed")
    with torch.no_grad():
        dense.network.stages[2][0].weight[:, 1] = 0.0
    x = torch.rand(50, 1, 2, 2)
    x[:, 0, 1, 0] = 0.0
    size = dense.network.magnitudes(x)
    assert size.shape == (7,) and size[2] == size[5] == 0 and (size[[0, 1, 3]] > 0).all()
    first = dense.network.stages[1][0]
    by_hand = x[:, 0, 0, 1].square().mean().sqrt() * first.weight[:, 1].norm()
    torch.testing.assert_close(size[1], by_hand.detach())


def test_magnitudes_of_convolutions() -> None:
    """A filter counts by all that its channel passes on, through pooling and ``Flatten`` too."""
    lenet = SparseClassifier((1, 16, 16), 3, {"name": "lenet5", "channels": [3, 4], "hidden": 5}, gates="fixed")
    x = torch.rand(6, 1, 16, 16)
    with torch.no_grad():
        lenet.network.stages[1][0].weight[:, 2] = 0.0
        lenet.network.stages[3][0].weight[:, 0] = 0.0  # the one feature of the first channel
    size = lenet.network.magnitudes(x)
    assert size.shape == (3 + 4 + 4 + 5,) and size[2] == size[3] == size[7] == 0 and (size[:2] > 0).all()


def test_sparsify_goal_is_judged() -> None:
    """An error or units above the goal do not reach it, and a control that is better is printed."""

    def entry(error: float, units: list[int]) -> dict[str, Any]:
        found = (error - 0.1, error, error + 0.1)
        return {
            "runs": {str(i): {"metrics": {"test/accuracy": 1 - e / 100}, "units": units} for i, e in enumerate(found)}
        }

    for error, units, reached in ((1.7, [266, 88, 33], True), (1.9, [9, 9, 9], False), (1.6, [267, 9, 9], False)):
        text = sparsify_report.goal({LAYERS: entry(error, units), "magnitude_layers": entry(1.7, units)})
        assert ("**Not" not in text) == reached
        assert ("1.70%, a tie" in text) == (error != 1.9)
    text = sparsify_report.goal({LAYERS: entry(2.5, [9, 9, 9]), "magnitude_layers": entry(1.6, [9, 9, 9])})
    assert "1.60%, which is better" in text
    assert "Not measured yet" in sparsify_report.goal({})
