"""The attention benchmark: its command trains, resumes and prints what is finished; its goals are computed."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from gumbelzoo.benchmarks.attention import attention, cosine, report
from gumbelzoo.benchmarks.attention.rows import ROWS, Row
from gumbelzoo.benchmarks.common import runs
from gumbelzoo.benchmarks.common.search import Choice
from gumbelzoo.data import PairData
from gumbelzoo.data.pairs import cipher


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Run the command on three rows, with a few steps, pairs and seeds."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cipher, "SIZES", (300, 40, 40))
    rows = {name: ROWS[name] for name in ("marginal", "soft", "exact")}
    for module in (attention, report):
        monkeypatch.setattr(module, "ROWS", rows)
        monkeypatch.setattr(module, "SEEDS", (0, 1))
    monkeypatch.setattr(Row, "choices", [Choice(2e-3), Choice(3e-3)])
    monkeypatch.setattr(attention, "STEPS", 2)
    monkeypatch.setattr(attention, "TUNING_STEPS", 1)
    monkeypatch.setattr(attention, "NETWORKS", (0, 2))
    monkeypatch.setattr(cosine, "DRAWS", 2)
    monkeypatch.setattr(attention, "RECORD", tmp_path / "attention.json")
    monkeypatch.setattr("torch.set_num_threads", lambda number: None)

    def run(*options: str) -> None:
        monkeypatch.setattr("sys.argv", ["attention.py", "--out", "runs", *options])
        attention.main()

    return run


@pytest.mark.slow
def test_attention_command_resumes(small: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Finished runs are not trained again; a page of nothing says so."""
    small("--page")
    page = (tmp_path / "attention.md").read_text()
    assert "Not run yet." in page and "Not measured yet." in page
    small("--only", "marginal", "exact")
    record = json.loads((tmp_path / "attention.json").read_text())
    assert set(record) == {"marginal", "exact"} and set(record["exact"]["runs"]) == {"0", "1"}
    assert record["exact"]["cosine"]["2"] == pytest.approx({"single": 1.0, "mean": 1.0}, abs=1e-3)
    assert record["exact"]["choice"]["learning_rate"] in (2e-3, 3e-3)
    assert "Not run yet: soft." in (tmp_path / "attention.md").read_text() and (tmp_path / "attention.png").is_file()
    monkeypatch.setattr(runs, "finish", lambda *arguments: pytest.fail("it is finished"))
    small("--only", "marginal", "exact")
    assert json.loads((tmp_path / "attention.json").read_text()) == record


def entry(nll: list[float], error: float = 0.0, **others: float) -> dict[str, Any]:
    """A row of a record, one run per NLL."""
    metrics = {f"test/{name}": value for name, value in {"alignment_error": error, **others}.items()}
    found = {str(seed): {"metrics": {"test/nll": value, **metrics}, "minutes": 1.0} for seed, value in enumerate(nll)}
    return {"choice": {"learning_rate": 0.1}, "runs": found}


def test_goals_are_paired_and_tested() -> None:
    """A difference within two standard errors is a tie; a single seed decides nothing."""
    record = {
        "marginal": entry([0.50, 0.60, 0.70], 0.001),
        "soft": entry([0.51, 0.61, 0.71], argmax_nll=2.0, marginal_nll=1.0),
        "exact": entry([0.55, 0.65, 0.75], 0.02),
        "reinmax": entry([0.51, 0.61, 0.71]),
        "gumbel_softmax": entry([0.53, 0.63, 0.73]),
    }
    lines = report.goals(record).splitlines()
    assert "soft is 1.01 ± 0.00% above. Reached." in lines[0]
    assert "0.10%. Reached." in lines[1] and "2.00%. **Not reached.**" in lines[2]
    assert "`reinmax`, 1.01 ± 0.00% above. Reached." in lines[3]
    record["reinmax"] = record["gumbel_softmax"]
    assert "3.05 ± 0.00% above. **Not reached.**" in report.goals(record)
    record["soft"] = entry([0.49, 0.61, 0.71])
    assert "A tie." in report.goals(record)
    record["soft"] = entry([0.49, 0.59, 0.69])
    assert "-1.00 ± 0.00% above. **Not reached.**" in report.goals(record)
    assert report.verdict([1.0]) == "One seed decides nothing."
    assert report.goals({}) == "Not measured yet."


def test_soft_runs_are_controls_too() -> None:
    """The same runs, used as hard attention; the best line comes first, and controls that do not look have no error."""
    record = {"marginal": entry([0.5]), "soft": entry([0.6], 0.25, argmax_nll=2.0, marginal_nll=1.0)}
    record["uniform"] = entry([1.5], 0.9)
    table = report.rows_table({"uniform": record["uniform"]}, record)
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]
    assert [row[0] for row in cells] == ["soft, marginal at test", "`uniform`", "soft, argmax at test"]
    assert cells[0][1:6] == ["1.0000", "1", "2.718", f"{100 * math.exp(0.5):.1f}", "25.00"] and cells[1][5] == ""


def test_trivial_optimum_and_frequencies() -> None:
    """No model is below the entropy; frequencies alone are near log 17, EOS being more frequent than a letter."""
    entropy, unigram = report.trivial().values()
    assert entropy == pytest.approx(0.49, abs=0.01) and 2.5 < unigram < math.log(17)


@pytest.mark.parametrize("name", ROWS)
def test_attention_row_has_a_gradient(name: str, describe: Callable[..., Any]) -> None:
    """Its options are those of ``fit``; controls have the same network, and train no query."""
    temperature = ROWS[name].choices[-1].temperature
    model_class, arguments, _ = describe("attention_cipher", ROWS[name].options(0.1, temperature))
    data = PairData("cipher")
    sides = data.source_vocabulary, data.target_vocabulary, data.max_lengths
    torch.manual_seed(0)
    model = model_class(*sides, **arguments)
    assert arguments["entropy"] == ROWS[name].entropy and arguments["optimizer"]["learning_rate"] == 0.1
    assert (temperature is None) == (not ROWS[name].relaxed)
    if temperature is not None:
        assert float(model.network.attention.layer.current_temperature()) == temperature
    batch = {key: value[:8] for key, value in data.splits.valid.tensors().items()}
    assert bool(cosine._gradient(model, batch).any()) == (name not in ("uniform", "fixed"))
    shared = [p.numel() for part, p in model.network.named_parameters() if not part.startswith("attention.")]
    assert sum(shared) == 58_001


def test_cosine_of_an_unbiased_estimator(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mean of its draws approaches the enumerated gradient; a row without a choice of one sample has none."""
    monkeypatch.setattr(cosine, "PAIRS", 4)
    monkeypatch.setattr(cosine, "DRAWS", 100)
    found = cosine.cosines(ROWS["unordered"], None, {0: None})["0"]
    assert found["mean"] > 0.9 and found["mean"] > found["single"]
    assert all(cosine.cosines(ROWS[name], None, {0: None}) == {} for name in ("marginal", "soft", "vimco_4", "uniform"))
