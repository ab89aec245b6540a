"""Temperature sweep of text models: its table, and the likelihood at another temperature."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from gumbelzoo.benchmarks.text.captions import main, nll_test, plot
from gumbelzoo.benchmarks.text.report import at_equal_variety
from gumbelzoo.data import TextData
from gumbelzoo.models import TextGAN
from gumbelzoo.pretrained.saving import save_pretrained
from gumbelzoo.train import main as command


def test_sweep_of_two_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Equal models have equal rows; the NLL is that of the model at the temperature."""
    monkeypatch.chdir(tmp_path)
    data = TextData("grammar")
    model = TextGAN(data.vocabulary, data.max_length).eval()
    for name in ("first", "second"):
        save_pretrained(model, name, data={"class": "text", "arguments": {"name": "grammar"}})
    main(["first", "second", "--alphas", "1", "2", "-n", "300", "--out", "out/sweep", "--reverse", "2"])
    rows = json.loads(Path("out/sweep.json").read_text())["rows"]
    assert [(row["model"], row.get("alpha")) for row in rows] == [
        *(("first", 1.0), ("first", 2.0), ("second", 1.0), ("second", 2.0)),
        ("grammar", None),
    ]
    assert rows[0]["nll_test"] == rows[2]["nll_test"] == pytest.approx(nll_test(model, data, 1.0))
    assert rows[1]["nll_test"] == pytest.approx(nll_test(model, data, 0.5)) != rows[0]["nll_test"]
    assert rows[-1]["valid"] == 1.0 and "nll_test" not in rows[-1]
    assert all(0 < row["reverse_nll"] < 3 for row in rows)
    assert rows[0]["reverse_nll"] == rows[2]["reverse_nll"] != rows[1]["reverse_nll"]
    text = Path("out/sweep.md").read_text().splitlines()
    assert sum(line.startswith("    ") for line in text) == 2 * 20  # the samples that are shown
    table = [line for line in text if line.startswith("|")]
    assert len(table) == 2 + len(rows) and len({line.count("|") for line in table}) == 1
    with torch.no_grad():
        held = data.splits.test
        log_prob = (model.generator.logits(held.tokens) * 2).log_softmax(-1).gather(-1, held.tokens[..., None])[..., 0]
    counted = torch.arange(data.max_length) < held.lengths[:, None]
    assert rows[1]["nll_test"] == pytest.approx(-log_prob[counted].mean().item(), rel=1e-4)


TEXT = [f"w{i % 3} w{i % 7} w{i % 5} w{i % 11}" for i in range(120)]
OTHERS: dict[str, tuple[list[str], list[str]]] = {
    "level character": (TEXT, ["--data.level=character"]),
    "split 162 training": (TEXT + TEXT[:80], []),
    "level lossless_word, 10 tokens": (TEXT, ["--data.max_vocabulary=10"]),
    "at most 6 in a sentence": ([f"{line} w0" for line in TEXT], []),
    "other sentences or another vocabulary": ([line.replace("w", "x") for line in TEXT], []),
}


def test_models_of_different_data_raise(workspace: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Data differ in their name, in their metadata, or only in their sentences."""

    def trained(name: str, lines: list[str], options: list[str]) -> str:
        (workspace / name).mkdir()
        path = workspace / name / "text.txt"
        path.write_text("\n".join(lines))
        data = ["--data=text", "--data.name=text", f"--data.path={path}", "--data.batch_size=30", *options]
        short = ["--trainer.max_steps=1", "--trainer.accelerator=cpu", f"--trainer.default_root_dir={name}"]
        assert command(["fit", "--model=text_gan", *data, *short]) == 0, capfd.readouterr().err
        return f"{name}/text_gan_text/1"

    def refused(*runs: str) -> str:
        capfd.readouterr()
        with pytest.raises(SystemExit) as stopped:
            main(["-n", "20", *runs])
        (line,) = capfd.readouterr().err.strip().splitlines()
        assert stopped.value.code == 2
        return line

    same = [trained(name, TEXT, []) for name in ("first", "second")]
    for number, (message, other) in enumerate(OTHERS.items()):
        line = refused(*same, run := trained(f"other{number}", *other))
        assert f"{run} was not trained on the data of {same[0]}: " in line and message in line
    main([*same, "--alphas", "1", "-n", "20"])
    assert "unknown released checkpoint or folder: 'nothing'" in refused("nothing")
    assert "catvae-digits is a categorical_vae; sweep text models" in refused("catvae-digits")
    assert f"the data of {same[0]}: grammar, not text; sweep" in refused(same[0], "textgan-grammar")
    assert "--alphas must be > 0" in refused(same[0], "--alphas", "0")
    (workspace / "first/text.txt").write_text("\n".join(line.replace("w", "x") for line in TEXT))
    assert "give the data that it was trained on" in refused(same[0])


def test_picture_of_an_oracle(tmp_path: Path) -> None:
    """With and without published curves."""
    point = {"nll_oracle": 9.0, "nll_test": 8.0}
    rows = [{"model": "run", "alpha": 1.0, **point}, {"model": "truth", "nll_oracle": 5.8}]
    for name in ("oracle", "oracle_published"):
        assert plot(rows, name, tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_bleu_at_equal_self_bleu() -> None:
    """It is compared at the Self-BLEU of the training text, and blank where a sweep does not reach it."""

    def rows(name: str, shift: float) -> list[dict[str, Any]]:
        return [
            {"model": name, "alpha": 1.0, "self_bleu_4": 0.4, "bleu_4": 0.2 + shift, "nll_test": 3.0},
            {"model": name, "alpha": 1.2, "self_bleu_4": 0.6, "bleu_4": 0.4 + shift, "nll_test": 3.4},
        ]

    sweep = [*rows("start", 0.0), *rows("one", 0.1), *rows("two", 0.2)]
    commands = {
        name: f"fit --seed_everything={seed} --model.objective.adversary.reward=shuffled"
        for seed, name in enumerate(("one", "two"))
    }
    assert at_equal_variety(sweep, commands) == ""  # without a reference
    text = at_equal_variety([*sweep, {"model": "training text", "self_bleu_4": 0.45}], commands)
    assert "At a Self-BLEU-4 of 0.45, " in text
    assert "| `start` | 1 of 1 | 0.2500 | 3.1000 |" in text
    assert "| `fit --model.objective.adversary.reward=shuffled` | 2 of 2 | 0.4000 ± 0.0500 | 3.1000 ± 0.0000 |" in text
    outside = at_equal_variety([*sweep, {"model": "training text", "self_bleu_4": 0.7}], commands)
    assert "| `start` | 0 of 1 |  |  |" in outside  # no extrapolation
