"""The temperature sweep of text models: its table, and the likelihood at another temperature."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from gumbelzoo.benchmarks.text import held_out, main, picture
from gumbelzoo.data import TextData
from gumbelzoo.models.saving import save_pretrained
from gumbelzoo.models.text_gan import TextGAN


def test_a_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    data = TextData("grammar")
    model = TextGAN({"tokens": data.vocabulary.tokens, "level": "character"}, data.max_length).eval()
    for name in ("first", "second"):
        save_pretrained(model, name, data={"class": "TextData", "arguments": {"name": "grammar"}})
    main(["first", "second", "--alphas", "1", "2", "-n", "300", "--out", "out/sweep"])
    rows = json.loads(Path("out/sweep.json").read_text())["rows"]
    assert [(row["model"], row.get("alpha")) for row in rows] == [
        *(("first", 1.0), ("first", 2.0), ("second", 1.0), ("second", 2.0)),
        ("grammar", None),
    ]
    assert rows[0]["nll_test"] == rows[2]["nll_test"] == pytest.approx(held_out(model, data, 1.0))
    assert rows[1]["nll_test"] == pytest.approx(held_out(model, data, 0.5)) != rows[0]["nll_test"]
    assert rows[-1]["valid"] == 1.0 and "nll_test" not in rows[-1]
    text = Path("out/sweep.md").read_text().splitlines()
    assert sum(line.startswith("    ") for line in text) == 2 * 20  # samples to read
    table = [line for line in text if line.startswith("|")]
    assert len(table) == 2 + len(rows) and len({line.count("|") for line in table}) == 1
    with torch.no_grad():
        held = data.splits.test
        log_prob = (model.generator.logits(held.tokens) * 2).log_softmax(-1).gather(-1, held.tokens[..., None])[..., 0]
    counted = torch.arange(data.max_length) < held.lengths[:, None]
    assert rows[1]["nll_test"] == pytest.approx(-log_prob[counted].mean().item(), rel=1e-4)


def test_the_picture_of_an_oracle(tmp_path: Path) -> None:
    point = {"nll_oracle": 9.0, "nll_test": 8.0}
    rows = [{"model": "run", "alpha": 1.0, **point}, {"model": "truth", "nll_oracle": 5.8}]
    for name in ("oracle", "oracle_published"):
        assert picture(rows, name, tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
