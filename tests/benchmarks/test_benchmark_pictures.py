"""Pictures of the benchmarks: made from the record or from the page's tables, large enough to be read."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
from gumbelzoo.benchmarks.common.pages import ROOT, markdown_table, read_tables
from gumbelzoo.benchmarks.estimators import temperature
from gumbelzoo.benchmarks.estimators.gradient_quality import gradient_draws
from gumbelzoo.benchmarks.estimators.picture import draw as draw_estimators
from gumbelzoo.benchmarks.leaderboard.picture import draw as draw_leaderboard
from gumbelzoo.benchmarks.vqvae.picture import draw as draw_quantizers
from gumbelzoo.models.relaxed import RelaxedCategorical
from PIL import Image

BENCHMARKS = ROOT / "benchmarks"
PICTURES = sorted(BENCHMARKS.rglob("*.png"))


def texts(picture: Path) -> list[str]:
    """Texts of an SVG file, which matplotlib writes as comments beside their outlines."""
    return re.findall(r"<!-- (.*?) -->", picture.read_text())


def page(name: str) -> str:
    return (BENCHMARKS / name).read_text(encoding="utf-8")


def test_tables_are_read_as_they_were_written() -> None:
    rows = [["a, b", "", "1.0"], ["c", "2", "< 0.3"]]
    table = markdown_table(["name", "empty", "value"], rows)
    text = f"# Title\n\nA sentence.\n\n## First\n\n{table}\n\nMore:\n\n{table}\n"
    read = [dict(zip(("name", "empty", "value"), row, strict=True)) for row in rows]
    assert read_tables(text) == {"First": read, "First/More": read}


@pytest.mark.parametrize("picture", PICTURES, ids=lambda path: path.stem)
def test_picture_is_large_and_linked(picture: Path) -> None:
    """And says nothing about the machine that drew it."""
    with Image.open(picture) as opened:
        assert opened.width >= 800
        assert set(opened.info) <= {"dpi"}
    links = "".join(path.read_text(encoding="utf-8") for path in picture.parent.glob("*.md"))
    assert f"]({picture.name})" in links


def test_leaderboard_picture_has_every_row(tmp_path: Path) -> None:
    record = json.loads(page("leaderboard/leaderboard.json"))
    some = {name: record[name] for name in ("gumbel_softmax", "reinforce_none", "gaussian", "vimco_50")}
    draw_leaderboard({"a title": some}, tmp_path / "board.svg")
    found = texts(tmp_path / "board.svg")
    assert [text for text in found if text in some] == ["gumbel_softmax", "gaussian", "vimco_50", "reinforce_none"]
    for text in ("a title", "single seeds", "unbiased gradient: mean, standard error"):
        assert text in found
    assert any("nats" in text and "lower is better" in text for text in found)


def test_estimator_picture_is_of_the_page(tmp_path: Path) -> None:
    draw_estimators(page("estimators/estimators.md"), "2x12", tmp_path / "estimators.svg")
    found = texts(tmp_path / "estimators.svg")
    names = [row["estimator"] for row in read_tables(page("estimators/estimators.md"))["2x12"]]
    assert len(names) > 20 and all(any(text.startswith(name.partition(",")[0]) for text in found) for name in names)
    assert "relax, learned temperature 0.9" in found and "gumbel_softmax, temperature 0.5" in found
    assert {"temperature", "bias", "noise of one call", "closeness at equal cost"} <= set(found)


def test_quantizer_picture_is_of_the_page(tmp_path: Path) -> None:
    draw_quantizers(page("vqvae/vqvae_quantizers.md"), tmp_path / "quantizers.svg")
    found = texts(tmp_path / "quantizers.svg")
    (rows,) = read_tables(page("vqvae/vqvae_quantizers.md")).values()
    assert {row["quantizer"] for row in rows} <= set(found)
    assert {"rate in the objective", "nats per position"} <= set(found)


def test_temperature_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(temperature, "__file__", str(tmp_path / "temperature.py"))
    temperature.main((0.5, 1.0), draws=20)
    with Image.open(tmp_path / "temperature.png") as picture:
        assert picture.width >= 800


def test_gumbel_softmax_trades_noise_for_bias() -> None:
    """What the title of the picture says."""
    logits = 1.5 * torch.randn(8, 2, 3, generator=torch.Generator().manual_seed(0))
    exact = gradient_draws(RelaxedCategorical("exact"), logits, temperature.cost, 1)[0]
    found = [temperature.measure("gumbel_softmax", tau, logits, exact, 1000) for tau in (0.3, 1.0, 3.0)]
    assert found[0][0] < found[1][0] < found[2][0]
    assert found[0][1] > found[1][1] > found[2][1]
