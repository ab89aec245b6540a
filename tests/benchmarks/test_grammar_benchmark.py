"""The benchmark of the grammar, from training to its table, with one row of two steps."""

from __future__ import annotations

from pathlib import Path

import pytest
from gumbelzoo.benchmarks.text import grammar


def test_a_row_and_the_grammar_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(grammar, "__file__", str(tmp_path / "grammar.py"))
    short = ["--trainer.max_steps=2", "--trainer.limit_val_batches=1", "--model.test_samples=50"]
    monkeypatch.setattr(grammar, "ROWS", {"soft, one-hot feedback": [*grammar.ROWS["soft, one-hot feedback"], *short]})
    monkeypatch.setattr("sys.argv", ["grammar.py", "--out", "runs"])
    grammar.main()
    assert (tmp_path / "runs/soft_one-hot_feedback/textgan_grammar/1/test.json").is_file()
    *_, row, truth = (tmp_path / "grammar.md").read_text().splitlines()
    assert row.startswith("| soft, one-hot feedback |") and truth.startswith("| the grammar itself | 100.0% |")
    assert "| 100% |" in truth and row.count("|") == truth.count("|") == 7
