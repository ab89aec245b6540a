"""The benchmark of captions of scenes: its command trains, resumes and prints what is finished."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from gumbelzoo.benchmarks.attention import report, scenes, scenes_report
from gumbelzoo.benchmarks.attention.rows import Row
from gumbelzoo.benchmarks.attention.scenes_rows import CONFIG, ROWS
from gumbelzoo.benchmarks.common.search import Choice
from gumbelzoo.data import PairData
from gumbelzoo.data.pairs import scenes as scene_data


@pytest.fixture
def data(monkeypatch: pytest.MonkeyPatch) -> PairData:
    monkeypatch.setattr(scene_data, "SIZES", (300, 40, 40))
    return PairData("scenes_digits")


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: PairData) -> Callable[..., None]:
    """Run the command on two rows of small digits, with a few steps and one seed."""
    monkeypatch.chdir(tmp_path)
    rows = {name: ROWS[name] for name in ("marginal", "soft")}
    for module in (scenes, scenes_report):
        monkeypatch.setattr(module, "ROWS", rows)
    monkeypatch.setattr(scenes, "SEEDS", (0,))
    monkeypatch.setattr(Row, "choices", [Choice(2e-3)])
    monkeypatch.setattr(scenes, "STEPS", 2)
    monkeypatch.setattr(scenes, "TUNING_STEPS", 1)
    monkeypatch.setattr(scenes, "DATA", "scenes_digits")
    monkeypatch.setattr(scenes_report, "PairData", lambda name: data)
    monkeypatch.setattr(scenes, "RECORD", tmp_path / "scenes.json")
    monkeypatch.setattr("torch.set_num_threads", lambda number: None)

    def run(*options: str) -> None:
        monkeypatch.setattr("sys.argv", ["scenes.py", "--out", "runs", *options])
        scenes.main()

    return run


@pytest.mark.slow
def test_scenes_command_resumes(small: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Finished runs are not trained again; a page of nothing says so; scenes are drawn."""
    small("--page")
    assert "Not run yet." in (tmp_path / "scenes.md").read_text()
    small("--only", "marginal")
    record = json.loads((tmp_path / "scenes.json").read_text())
    assert set(record["marginal"]["runs"]) == {"0"} and record["marginal"]["choice"]["learning_rate"] == 2e-3
    page = (tmp_path / "scenes.md").read_text()
    assert "Not run yet: soft." in page and "![marginal](scenes_marginal.png)" in page
    assert (tmp_path / "scenes.png").is_file() and (tmp_path / "scenes_marginal.png").is_file()
    monkeypatch.setattr(scenes.search, "train", lambda *arguments: pytest.fail("it is finished"))
    small("--only", "marginal")
    assert json.loads((tmp_path / "scenes.json").read_text()) == record


def test_blind_captions_are_enumerated(data: PairData, monkeypatch: pytest.MonkeyPatch) -> None:
    """One digit of ten, or two, or three different ones, each number with probability 1/3."""
    monkeypatch.setattr(scenes_report, "PairData", lambda name: data)
    best, blind = scenes_report.trivial().values()
    lengths = data.splits.test.target_length.tolist()
    probability = {2: 1 / 30, 5: 1 / 270, 8: 1 / 2160}
    assert best == 0
    assert blind == pytest.approx(-sum(math.log(probability[length]) for length in lengths) / sum(lengths))


def test_scenes_page_has_wrong_captions() -> None:
    """In percent, for each row; the controls of soft runs have none."""
    metrics = {"test/nll": 0.5, "test/alignment_error": 0.01, "test/sequence_error": 0.25, "test/argmax_nll": 2.0}
    entry: dict[str, Any] = {"choice": {"learning_rate": 0.1}, "runs": {}}
    entry["runs"] = {"0": {"metrics": {**metrics, "test/marginal_nll": 1.0}, "minutes": 1.0}}
    record = dict.fromkeys(("marginal", "soft", "uniform"), entry)
    lines = report.rows_table({"uniform": entry}, record, scenes_report.CAPTIONS).splitlines()
    header, *cells = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    column = header.index("wrong captions")
    assert [row[column] for row in cells[1:]] == ["25.00", "", ""] and header[column + 1] == "learning rate"


@pytest.mark.parametrize("name", ROWS)
def test_scenes_row_has_a_gradient(name: str, describe: Callable[..., Any], data: PairData) -> None:
    """Its options are those of ``fit``; every row has as many parameters."""
    temperature = ROWS[name].choices[-1].temperature
    model_class, arguments, _ = describe(CONFIG, ROWS[name].options(0.1, temperature))
    torch.manual_seed(0)
    model = model_class(data.source_vocabulary, data.target_vocabulary, data.max_lengths, **arguments)
    batch = data.rows("valid", torch.arange(8))
    scores, values, log_prob, steps = model.network(batch)
    (model.network.attention.objective(scores, values, log_prob, steps) * steps).sum().backward()
    query = model.network.query.weight.grad
    assert (query is not None and bool(query.any())) == (name != "uniform")
    shared = [p.numel() for part, p in model.network.named_parameters() if not part.startswith("attention.")]
    assert sum(shared) == 71_133
