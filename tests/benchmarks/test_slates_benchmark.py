"""The slate benchmark: its command trains, resumes and prints what is finished, and marks what learned nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from gumbelzoo.benchmarks.common import runs
from gumbelzoo.benchmarks.common.search import Choice
from gumbelzoo.benchmarks.slates import cosine, report, slates
from gumbelzoo.benchmarks.slates.rows import BLACK, CONTROL, NO_ENTROPY, ROWS, WHITE, Row
from gumbelzoo.data import SlateData


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Run the command on two rows, with a few steps and one seed."""
    monkeypatch.chdir(tmp_path)
    rows = {name: ROWS[name] for name in ("reinforce_leave_one_out", "random_reward")}
    for module in (slates, report):
        monkeypatch.setattr(module, "ROWS", rows)
        monkeypatch.setattr(module, "SEEDS", (0,))
        monkeypatch.setattr(module, "ENVIRONMENTS", (1,))
    monkeypatch.setattr(Row, "choices", [Choice(2e-3)])
    monkeypatch.setattr(slates, "LARGE_ROWS", ())
    monkeypatch.setattr(slates, "STEPS", 4)
    monkeypatch.setattr(slates, "TUNING_STEPS", 2)
    monkeypatch.setattr(slates, "POLICIES", (0, 4))
    monkeypatch.setattr(cosine, "DRAWS", 2)
    monkeypatch.setattr(slates, "RECORD", tmp_path / "slates.json")
    monkeypatch.setattr("torch.set_num_threads", lambda number: None)

    def run(*options: str) -> None:
        monkeypatch.setattr("sys.argv", ["slates.py", "--out", "runs", *options])
        slates.main()

    return run


@pytest.mark.slow
def test_slates_command_resumes(small: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Finished runs are not trained again; a page of nothing says so, and a missing run is no zero."""
    small("--page")
    assert "Not run yet." in (tmp_path / "slates.md").read_text()
    small("--only", "reinforce_leave_one_out")
    record = json.loads((tmp_path / "slates.json").read_text())
    entry = record["reinforce_leave_one_out"]
    assert set(entry["runs"]) == {"0 0", "1 0"} and set(entry["cosine"]) == {"0", "4"}
    page = (tmp_path / "slates.md").read_text()
    assert "Not run yet: random_reward." in page and "0.000" not in page.partition("## White box")[2].partition("##")[0]
    assert (tmp_path / "slates.png").is_file()
    monkeypatch.setattr(runs, "finish", lambda *arguments: pytest.fail("it is finished"))
    small("--only", "reinforce_leave_one_out")
    assert json.loads((tmp_path / "slates.json").read_text()) == record


def test_slates_page_marks_rows_below_greedy() -> None:
    """A share at that of greedy or below the blind agent is marked; a missing run is blank."""
    controls = {
        0: {"greedy": 0.66},
        1: {"greedy": 0.77, report.BLANKED: 0.9},
        2: {"greedy": 0.7},
        3: {"greedy": 0.7},
        4: {"greedy": 0.7},
    }

    def run(share: float) -> dict[str, Any]:
        return {"metrics": {"test/share": share}, "minutes": 1.0}

    entry = {"choice": {"learning_rate": 0.1}, "runs": {"0 0": run(0.66), "0 1": run(0.66), "1 0": run(0.8)}}
    table = report.rows_table({"exact": entry}, controls)
    cells = [cell.strip() for cell in table.splitlines()[-1].strip("|").split("|")]
    assert cells[1:8] == ["0.660 ± 0.000 †", "2", "0.800 ‡", "", "", "", ""]


def test_blind_agent_counts_with_all_its_seeds() -> None:
    """What rows are compared with is the mean of its seeds, and nothing in environments where it has not run."""
    runs = {f"0 {seed}": {"metrics": {"test/share": share}} for seed, share in enumerate((0.9, 0.96))}
    controls = report.control_shares({report.BLANKED: {"runs": runs}})
    assert controls[0][report.BLANKED] == pytest.approx(0.93) and report.BLANKED not in controls[1]


@pytest.mark.parametrize("name", ROWS)
def test_slate_row_has_a_gradient(name: str, describe: Callable[..., Any]) -> None:
    """Its options are those of ``fit``, and its policy gets a gradient in each network."""
    model_class, arguments, _ = describe("slate_agent", ROWS[name].command_options())
    agent = model_class(**{**arguments, "items": 5, "slots": 2, "user_width": 13, "hidden": 8})
    data = SlateData(items=5, slots=2)
    user = next(iter(data.train_dataloader()))["user"][:8]
    agent.objective.metrics(agent.network, agent.layer, user, data, 0.1)["loss"].backward()
    moved = {part for part, weight in agent.network.named_parameters() if weight.grad is not None and weight.grad.any()}
    assert {"user.0.weight", "head.weight", "cell.weight_hh"} <= moved
    assert ("items" in moved) == (name != "past_blanked") and ROWS[name].section in {WHITE, BLACK, NO_ENTROPY, CONTROL}
