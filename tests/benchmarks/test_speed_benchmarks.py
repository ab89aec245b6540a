"""Benchmarks of speed at small sizes: their pages, their records, and memory that grows as its mathematics."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from gumbelzoo.benchmarks import gpu_check
from gumbelzoo.benchmarks.common.measure import peak_memory
from gumbelzoo.benchmarks.estimators import cost
from gumbelzoo.benchmarks.speed import growth, training_step
from gumbelzoo.benchmarks.speed.growth_cases import PARTS, Curve

CURVES = ("expectation, leave_one_out", "bound, vimco")


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Page of a growth run of one part and one decade."""
    monkeypatch.setattr(growth, "__file__", str(tmp_path / "growth.py"))
    monkeypatch.setattr(growth, "TURNS", 1)
    monkeypatch.setattr(growth, "SHORTEST", 0.0)
    few = {name: PARTS["samples"].curves[name] for name in CURVES}
    monkeypatch.setitem(PARTS, "samples", replace(PARTS["samples"], curves=few))
    arguments = ["--parts", "samples", "--decades", "1", "--out", str(tmp_path / "growth.json")]
    monkeypatch.setattr("sys.argv", ["growth.py", *arguments])
    growth.main()
    return tmp_path / "growth.md"


def test_growth_page_and_its_record(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every curve has a row; a second run measures nothing, and writes the same tables."""
    text = page.read_text()
    assert all(f"| {name} | " in text for name in CURVES)
    assert "Sizes 2 to 20." in text and page.with_name("growth_samples.png").stat().st_size > 10_000
    monkeypatch.setattr(growth, "measure", None)
    growth.main()
    assert page.read_text() == text


def test_growth_of_another_machine_raises(tmp_path: Path) -> None:
    (tmp_path / "growth.json").write_text(json.dumps({"machine": "another", "figures": {}}))
    with pytest.raises(ValueError, match="figures of another: give another --out"):
        growth.Record(tmp_path / "growth.json", "this")


def test_faster_growth_is_named() -> None:
    """By the last decade: constant costs at small sizes hide nothing."""
    figures = {n: (1.0 + n**2, 5.0 * n) for n in (1, 3, 10, 30, 100, 300, 1000)}
    cells = growth.row("x", Curve(lambda n: lambda: None), figures)
    assert cells[2:6] == ["2.00", "1", "1.00", "1"] and cells[-1] == "time +1.00"
    assert growth.statement([cells]) == "Faster than that: `x` (time +1.00)."
    assert growth.row("x", Curve(lambda n: lambda: None, time=2.0), figures)[-1] == "no"


@pytest.mark.parametrize("name", CURVES)
def test_memory_is_linear_in_samples(name: str) -> None:
    """Ten times the samples take at most ten times the memory, with a little for what is fixed."""
    small, large = (peak_memory(PARTS["samples"].curves[name].step(n)) for n in (60, 600))
    assert large < 11 * small


@pytest.mark.slow
def test_training_step_in_three_ways() -> None:
    """A row of the digits, with three times that are positive."""
    row = training_step.compare("catvae_digits", [], turns=1, steps=3, warm_up=1)
    assert len(row) == len(training_step.HEADER)
    assert all(float(milliseconds) > 0 for milliseconds in row[1:4])
    assert float(row[4]) == pytest.approx(float(row[3]) / float(row[2]), rel=0.02)


@pytest.mark.slow
def test_gpu_check_at_small_sizes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a GPU the page says that nothing was measured."""
    monkeypatch.setattr(gpu_check, "__file__", str(tmp_path / "gpu_check.py"))
    monkeypatch.setattr(gpu_check, "TURNS", 1)
    monkeypatch.setattr(gpu_check, "WARM_UP", 1)
    monkeypatch.setattr("sys.argv", ["gpu_check.py", "--small", "--max-steps", "1"])
    gpu_check.main()
    text = (tmp_path / "gpu_check.md").read_text()
    assert ("Not measured on a GPU" in text) == (not torch.cuda.is_available())
    assert all(
        text.count(name) for name in ("| soft | 64 x 16 | eager |", "| vqvae_cifar10_gumbel | 2 |", "| 64 | 16 |")
    )


def test_cost_of_estimators(monkeypatch: pytest.MonkeyPatch) -> None:
    """All but enumeration and those of other categories are measured; the reference is the unit."""
    assert set(cost.measured(2)) == set(cost.ESTIMATORS.names()) - {"exact"}
    assert "disarm" not in cost.measured(3)
    monkeypatch.setattr(cost, "measured", lambda classes: [cost.REFERENCE, "gumbel_rao"])
    reference, row = cost.compare(40, 3, turns=1)
    assert reference[:2] == [cost.REFERENCE, "3"] and reference[3] == "1.00"
    assert row[0] == "gumbel_rao" and row[-2:] == ["10", "1"] and len(row) == len(cost.HEADER)


SCRIPTS = sorted(
    path
    for path in (Path(growth.__file__).parents[1]).rglob("*.py")
    if '__name__ == "__main__"' in path.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_every_script_reads_its_arguments(script: Path) -> None:
    """A script that ignores ``--help`` would run for minutes and overwrite its page."""
    text = script.read_text(encoding="utf-8")
    assert any(way in text for way in ("parse_nothing(", "ArgumentParser(", "run_command("))
