"""A user's own labelled text from the command line: trained, tested, sampled, released, and used by a colleague."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sys
from pathlib import Path

import gumbelzoo
import pytest
import torch
from gumbelzoo.train import main

SECTION = (Path(gumbelzoo.__file__).parent / "docs/your_data.md").read_text(encoding="utf-8").partition("## Text\n")[2]
COMMANDS = re.findall(r"```bash\n(.*?)```", SECTION, re.DOTALL)[0].replace("\\\n", " ").splitlines()
QUICK = [
    *("--trainer.accelerator=cpu", "--trainer.max_steps=6", "--data.batch_size=20", "--data.eval_batch_size=20"),
    *("--model.test_samples=20", "--model.generator.width=16", "--model.generator.depth=1"),
]
WEATHER = {
    "rain": [f"it rains on {'hill' if i % 2 else 'lake'} {i}, the naïve say." for i in range(60)],
    "sun": [f"the sun shines on {'hill' if i % 2 else 'lake'} {i}!" for i in range(60)],
}


@pytest.mark.parametrize(("options", "said"), [([], True), (["--model.classes=2"], False)])
def test_labels_of_a_model_without_classes_are_said(
    options: list[str], said: bool, workspace: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    Path("tab.txt").write_text("".join(f"{'pos' if i % 2 else 'neg'}\tline number {i}\n" for i in range(100)))
    small = ["--model.generator={name: lstm, width: 4, hidden: 4}", "--trainer.max_steps=1", "--data.batch_size=20"]
    data = ["--data=text", "--data.name=text", "--data.path=tab.txt", "--data.labels=tab", *small, *options]
    assert main(["fit", "--model=text_gan", "--trainer.limit_val_batches=0", *data]) == 0
    line = "--data.labels is not used: the model has no classes; to depend on them it needs --model.classes\n"
    assert (line in capfd.readouterr().err) is said


def test_own_labelled_text_to_a_colleague(
    workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Every command of the page's section; the release needs neither the text nor the library of byte pairs."""
    pytest.importorskip("tokenizers")
    Path("weather").mkdir()
    for name, lines in WEATHER.items():
        Path(f"weather/{name}.txt").write_text("\n".join(lines), encoding="utf-8")
    printed = {}
    for line in COMMANDS:
        program, *words = shlex.split(line)
        assert program == "gumbelzoo"
        assert main([*words, *(QUICK if words[0] == "fit" else [])]) == 0, f"{line}: {capfd.readouterr().err}"
        printed[" ".join(words[:2])] = capfd.readouterr().out
    run = "runs/text_gan_text/weather"
    assert "0 rain, 1 sun" in printed[f"test {run}"] and "test/bits_per_character" in printed[f"test {run}"]
    assert [line[:7] for line in printed[f"sample {run}"].splitlines()] == ["the sun"] * 5
    metrics = json.loads(Path(run, "test.json").read_text())["metrics"]
    for name in ("test/nll", "test/bits_per_character", "test/bleu_2"):
        assert f"{name:24s} {metrics[name]:.4f}" in printed["test checkpoints/weather"]
    stored = json.loads(Path("checkpoints/weather/config.json").read_text())
    assert "weather" not in json.dumps(stored["data"]) and stored["arguments"]["vocabulary"]["level"] == "bpe"

    shutil.copytree("checkpoints/weather", tmp_path / "colleague/weather")
    monkeypatch.chdir(tmp_path / "colleague")
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    model = gumbelzoo.load("weather")
    drawn = [model.sample(3, label=0, generator=torch.Generator().manual_seed(0)) for _ in range(2)]
    assert drawn[0] == drawn[1]
    assert model.vocabulary.decode(model.vocabulary.encode("naïve 你好")) == "naïve 你好"
    assert main(["test", "weather"]) == 2
    (said,) = capfd.readouterr().err.splitlines()
    assert "name='text' needs a path, --data.path=...: a UTF-8 file of one sentence a line, a folder" in said
    assert main(["sample", "weather", "--label=2"]) == 2
    assert "a label of this model is from 0 to 1, got 2" in capfd.readouterr().err


def test_python_of_the_page_runs(capfd: pytest.CaptureFixture[str]) -> None:
    exec(re.findall(r"```python\n(.*?)```", SECTION, re.DOTALL)[0], {})
    assert capfd.readouterr().out.splitlines()[-1].startswith("[")
