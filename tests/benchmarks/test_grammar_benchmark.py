"""Grammar benchmark from training to its page, with one row of two steps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from gumbelzoo.benchmarks.text import grammar
from gumbelzoo.data import TextData


@pytest.mark.parametrize("name", grammar.ROWS)
def test_row_builds_its_model(name: str, describe: Callable[..., Any]) -> None:
    """The options are accepted."""
    model_class, arguments, steps = describe(grammar.CONFIG, grammar.ROWS[name])
    assert steps == (6000 if "6,000" in name else grammar.STEPS)
    data = TextData("grammar")
    model = model_class(**arguments, vocabulary=data.vocabulary, max_length=data.max_length)
    assert bool(model.objective.discriminator_parameters()) == (name != "maximum likelihood")


def test_page_of_one_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has the row and the grammar's own metrics."""
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
