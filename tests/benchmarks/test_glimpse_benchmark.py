"""The glimpse benchmark: its command trains, resumes and prints what is finished, and counts operations."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from gumbelzoo.benchmarks.common.search import Choice
from gumbelzoo.benchmarks.glimpse import glimpse, report
from gumbelzoo.benchmarks.glimpse.operations import operations, parameters
from gumbelzoo.benchmarks.glimpse.rows import CNN, LONG_STEPS, ROWS, SIX, STEPS, Row
from gumbelzoo.data import ClutterData
from gumbelzoo.models import GlimpseClassifier
from gumbelzoo.models.glimpse.places import KEY


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Run the command on two rows of small digits, with a few steps and one seed."""
    monkeypatch.chdir(tmp_path)
    digits = ("--data.name=digits", "--data.side=20", "--model.hidden=8")
    names = ("straight_through_gumbel_softmax_6", "coarse")
    rows = {name: Row(ROWS[name].section, ROWS[name].config, (*ROWS[name].given, *digits), steps=5) for name in names}
    for module in (glimpse, report):
        monkeypatch.setattr(module, "ROWS", rows)
        monkeypatch.setattr(module, "SEEDS", (0,))
    monkeypatch.setattr(report, "STEPS", 5)
    monkeypatch.setattr(Row, "choices", [Choice(2e-3)])
    monkeypatch.setattr(glimpse, "PICTURED", {names[0]: "paths.png"})
    monkeypatch.setattr(glimpse, "operations", lambda model: operations(model, (1, 20, 20)))
    monkeypatch.setattr(glimpse, "ClutterData", lambda **options: ClutterData("digits", side=20, **options))
    monkeypatch.setattr(glimpse, "RECORD", tmp_path / "glimpse.json")
    monkeypatch.setattr("torch.set_num_threads", lambda number: None)

    def run(*options: str) -> None:
        monkeypatch.setattr("sys.argv", ["glimpse.py", "--out", "runs", *options])
        glimpse.main()

    return run


@pytest.mark.slow
def test_glimpse_command_resumes(small: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Finished runs are not trained again; a page of nothing says so; paths are drawn."""
    small("--page")
    assert "Not run yet." in (tmp_path / "glimpse.md").read_text()
    small("--only", "straight_through_gumbel_softmax_6")
    record = json.loads((tmp_path / "glimpse.json").read_text())
    assert set(record["straight_through_gumbel_softmax_6"]["runs"]) == {"0"}
    page = (tmp_path / "glimpse.md").read_text()
    assert "Not run yet: coarse." in page and "**not reached**" in page
    assert (tmp_path / "glimpse.png").is_file() and (tmp_path / "paths.png").is_file()
    monkeypatch.setattr(glimpse.search, "train", lambda *arguments: pytest.fail("it is finished"))
    small("--only", "straight_through_gumbel_softmax_6")
    assert json.loads((tmp_path / "glimpse.json").read_text()) == record


def test_glimpse_page_marks_rows() -> None:
    """A row that is not better than random places, and the best network within the limit of operations."""

    def entry(error: float, operations: float) -> dict[str, Any]:
        run = {"metrics": {"test/accuracy": 1 - error / 100}, "minutes": 1.0}
        return {"choice": {"learning_rate": 0.1}, "runs": {"0": run}, "operations": operations, "parameters": 1e5}

    record = {
        "straight_through_gumbel_softmax_6": entry(6.0, 2e6),
        "reinforce_leave_one_out_6": entry(4.0, 2e6),
        "soft_6": entry(3.8, 9e6),
        "random_6": entry(5.0, 2e6),
        "cnn_16_24_32_64": entry(4.5, 1e6),
        "cnn_12_24_32": entry(4.2, 3e6),
        "cnn_unlimited": entry(1.0, 9e9),
        "transformer_affine": entry(4.6, 1e6),
    }
    assert report.best(record, CNN, STEPS) == ("cnn_16_24_32_64", pytest.approx(4.5))
    found = report.findings(record)
    assert "4.00% (`reinforce_leave_one_out_6`); the goal of 5.0% is reached, and it is below" in found
    assert "**not below** the best whole-image network" in found
    assert "is 0.20 points above `soft_6`; the goal of at most 0.5 above is reached." in found
    rows = {name: record[name] for name in record if ROWS[name].section == SIX}
    assert [line.split("|")[2].strip() for line in report.rows_table(rows, record).splitlines()[2:]] == [
        "3.80",
        "4.00",
        "6.00 †",
    ]


def test_operations_are_counted() -> None:
    """Of one glimpse by hand, and twice as many of two; networks of the whole image are within the limit."""
    sizes = {"image_shape": (1, 60, 60), "hidden": 16, "grid": 9, "window": 12, "scales": 2}
    zero, one, two = (operations(GlimpseClassifier(**sizes, glimpses=number)) for number in range(3))
    encoder = 36 * 9 * 2 * 16 + 9 * 9 * 16 * 32 + 288 * 16
    keys = 144 * 9 * KEY + 144 * 9 * KEY * KEY
    policy, cell = 16 * 16 + 16 * 81 + 16 * KEY + 81 * KEY, 2 * 3 * 16 * 16
    assert one - zero == 2 * (encoder + policy + cell) == two - one
    assert zero == 2 * (36 * 9 * 16 + 9 * 9 * 16 * 32 + 288 * 16 + 16 * 10 + keys)
    assert parameters(GlimpseClassifier(**sizes)) == sum(p.numel() for p in GlimpseClassifier(**sizes).parameters())


def test_longer_row_has_the_choice_of_the_shorter() -> None:
    """It has one choice, so that nothing is searched, and without the shorter row it says what to run."""
    row = ROWS["random_6_long"]
    assert (row.steps, row.like, row.given) == (LONG_STEPS, "random_6", ROWS["random_6"].given)
    with pytest.raises(RuntimeError, match="run random_6 first"):
        glimpse.choices({}, row)
    found = glimpse.choices({"random_6": {"choice": {"learning_rate": 2e-3, "search_minutes": 1.0}}}, row)
    assert found == [(2e-3, None, None)] and not row.entropies
    chosen = {"learning_rate": 4e-3, "entropy": 0.0, "search_minutes": 1.0}
    longer = ROWS["reinforce_leave_one_out_6_long"]
    (choice,) = glimpse.choices({"reinforce_leave_one_out_6": {"choice": chosen}}, longer)
    assert "--model.entropy=0.0" in longer.options(*choice) and not longer.entropies


@pytest.mark.parametrize("name", ROWS)
def test_glimpse_row_fits(name: str, describe: Callable[..., Any]) -> None:
    """Its options are those of ``fit``; rows that are compared have at most the operations of six hard glimpses."""
    row = ROWS[name]
    model_class, arguments, _ = describe(row.config, row.options(*row.choices[0]))
    assert ("entropy" in arguments and arguments["entropy"] > 0) >= row.chooses
    model = model_class(**{"image_shape": (1, 60, 60), **arguments})
    limit = operations(GlimpseClassifier((1, 60, 60)))
    if row.limited and not name.startswith("soft"):
        assert operations(model) <= limit
    assert 4 * parameters(model) < 3e6
