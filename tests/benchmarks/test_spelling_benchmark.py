"""The benchmark of spelling to sound: its command trains and resumes, and its goals are judged by pairs of seeds."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from gumbelzoo.benchmarks.attention import spelling, spelling_report, spelling_rows


def entry(wrong: list[float], nll: list[float]) -> dict[str, Any]:
    """A row of one run per seed."""
    runs = {
        str(seed): {
            "metrics": {
                "test/sequence_error": share,
                "test/token_error": share / 4,
                **dict.fromkeys(("test/nll", "test/argmax_nll", "test/marginal_nll"), value),
            },
            "minutes": 1.0,
            "test_minutes": 0.1,
            "hardware": "x",
            "versions": {"torch": "2"},
            "commit": "a",
        }
        for seed, (share, value) in enumerate(zip(wrong, nll, strict=True))
    }
    return {"choice": {"learning_rate": 2e-3, "search_minutes": 0.0}, "runs": runs}


def test_goals_are_of_paired_seeds() -> None:
    """Seeds that differ by more than the rows do not hide a difference; a smaller one is a tie."""
    soft = entry([0.33, 0.34, 0.35], [0.20, 0.21, 0.22])
    better = {"soft": soft, "marginal": entry([0.32, 0.33, 0.341], [0.19, 0.20, 0.21])}
    text = spelling_report.goals(better)
    assert "34.00%. Reached." in text and "`soft`: 0.97 ± 0.03. Reached." in text
    tied = {"soft": soft, "marginal": entry([0.34, 0.32, 0.35], [0.20, 0.21, 0.22])}
    assert "`soft`: 0.33 ± 0.88. A tie." in spelling_report.goals(tied)
    less = {"soft": soft, "marginal": entry([0.329, 0.339, 0.348], [0.20, 0.21, 0.22])}
    assert "`soft`: 0.13 ± 0.03. **Not reached.**" in spelling_report.goals(less)
    worse = {**tied, "reinforce_leave_one_out": entry([0.4] * 3, [math.log(1.03) + n for n in (0.20, 0.21, 0.22)])}
    assert "`reinforce_leave_one_out`, 3.00 ± 0.00% above. **Not reached.**" in spelling_report.goals(worse)
    near = {**worse, "vimco_4": entry([0.4] * 3, [math.log(1.01) + n for n in (0.20, 0.21, 0.22)])}
    assert "`vimco_4`, 1.00 ± 0.00% above. Reached." in spelling_report.goals(near)
    assert "Not measured yet." in spelling_report.goals({"soft": soft})


def test_rows_trained_by_a_bound_have_a_reward_of_entropy() -> None:
    given = {name: spelling_rows.options(name, 0) for name in spelling_rows.ROWS}
    rewards = {name: next(it for it in options if "entropy" in it) for name, options in given.items()}
    assert rewards["vimco_4"] == rewards["reinforce_leave_one_out"] == "--model.entropy=0.1"
    assert rewards["soft"] == rewards["marginal"] == rewards["uniform"] == "--model.entropy=0.0"


@pytest.mark.slow
def test_command_resumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On enciphered strings, which have the same metrics."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(spelling, "CONFIG", "attention_cipher")
    monkeypatch.setattr(spelling, "SEEDS", (0,))
    monkeypatch.setattr(spelling, "STEPS", 2)
    monkeypatch.setattr(spelling, "RECORD", tmp_path / "spelling.json")
    monkeypatch.setattr("torch.set_num_threads", lambda number: None)

    def run(*options: str) -> str:
        monkeypatch.setattr("sys.argv", ["spelling.py", "--out", "runs", *options])
        spelling.main()
        return (tmp_path / "spelling.md").read_text()

    assert "Not run yet: marginal, soft" in run("--page")
    page = run("--only", "soft")
    assert "`soft`" in page and "soft, argmax at test" in page and (tmp_path / "spelling.png").is_file()
    record = json.loads((tmp_path / "spelling.json").read_text())
    assert set(record) == {"soft"} and record["soft"]["choice"]["learning_rate"] == spelling_rows.LEARNING_RATE
    monkeypatch.setattr(spelling.search, "train", lambda *arguments, **options: pytest.fail("it is finished"))
    run("--only", "soft")
