"""The gate benchmark: its command trains, resumes and prints what is finished, and says which goals are not reached."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from gumbelzoo.benchmarks.common.search import Choice
from gumbelzoo.benchmarks.gates import gates, report
from gumbelzoo.benchmarks.gates.rows import CONTROL, ROWS, Row
from gumbelzoo.data.frequencies.datamodule import FrequencyData


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Run the command on two rows, with a few steps and one seed."""
    monkeypatch.chdir(tmp_path)
    rows = {name: ROWS[name] for name in ("simple", "oracle")}
    for module in (gates, report):
        monkeypatch.setattr(module, "ROWS", rows)
        monkeypatch.setattr(module, "SEEDS", (0,))
    monkeypatch.setattr(Row, "choices", [Choice(2e-3)])
    monkeypatch.setattr(gates, "STEPS", 4)
    monkeypatch.setattr(gates, "TUNING_STEPS", 2)
    monkeypatch.setattr(gates, "RECORD", tmp_path / "gates.json")
    monkeypatch.setattr("torch.set_num_threads", lambda number: None)

    def run(*options: str) -> None:
        monkeypatch.setattr("sys.argv", ["gates.py", "--out", "runs", *options])
        gates.main()

    return run


@pytest.mark.slow
def test_gates_command_resumes(small: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Finished runs are not trained again; a page of nothing says so."""
    small("--page")
    assert "Not run yet." in (tmp_path / "gates.md").read_text()
    small("--only", "simple")
    record = json.loads((tmp_path / "gates.json").read_text())
    run = record["simple"]["runs"]["0"]
    assert run["flops"] > 0 and 0 <= run["best_accuracy"] <= 1 and run["metrics"]["test/open"] == pytest.approx(0.25)
    assert "Not run yet: oracle." in (tmp_path / "gates.md").read_text() and (tmp_path / "gates.png").is_file()
    monkeypatch.setattr(gates, "train", lambda *arguments: pytest.fail("it is finished"))
    small("--only", "simple")
    assert json.loads((tmp_path / "gates.json").read_text()) == record


def test_gate_goals_are_judged() -> None:
    """A row that finds too little, opens too much, or is a point below the oracle has not reached its goal."""

    def run(accuracy: float, found: float = 1.0, false: float = 0.0) -> dict[str, Any]:
        return {"metrics": {"test/accuracy": accuracy, "test/found": found, "test/false": false}}

    runs = {
        "oracle": run(0.97),
        "random": run(0.5),
        "zigzag": run(0.2),
        "disarm": run(0.965),
        "simple": run(0.95),
        "hard_concrete": run(0.97, false=0.1),
        "reinforce": run(0.97, found=0.75),
    }
    lines = report.goals({name: {"runs": {"0": value}} for name, value in runs.items()}).splitlines()
    judged = {line.split("`")[1]: "**Not" not in line for line in lines if line.startswith("- `")}
    expected = {"random": True, "zigzag": False, "disarm": True}
    assert judged == {**expected, "simple": False, "hard_concrete": False, "reinforce": False}


@pytest.mark.parametrize("name", ROWS)
def test_gate_row_has_a_gradient(name: str, describe: Callable[..., Any]) -> None:
    """Its options are those of ``fit``, a control has its channels, and every other row moves its gates."""
    temperature = 0.5 if ROWS[name].relaxed else None
    model_class, arguments, _ = describe("gates_frequencies", ROWS[name].options(Choice(2e-3, temperature), 1))
    model = model_class(**{**arguments, "widths": (4, 4)})
    batch = next(iter(FrequencyData(number=1, batch_size=8).train_dataloader()))
    model.training_metrics(batch)["loss"].backward()
    moved = any(p.grad is not None and bool(p.grad.any()) for p in model.selector.parameters())
    assert moved == (ROWS[name].channels is None)
    if ROWS[name].section == CONTROL and ROWS[name].channels is not None:
        opened = model.eval().open_channels(torch.zeros(1, 1, 32, 32))[0].nonzero().flatten().tolist()
        assert opened == sorted(ROWS[name].channels(FrequencyData(number=1), 1))
