"""``gumbelzoo test NAME``: a folder from elsewhere executes nothing, and only the model's own metrics are kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gumbelzoo
import pytest
import yaml
from gumbelzoo.train import main

SPEC = {"class_path": "subprocess.Popen", "init_args": {"args": "touch executed", "shell": True}}
TEXT = f"{{class_path: subprocess.Popen, init_args: {json.dumps(SPEC['init_args'])}}}"
VALUES: list[Any] = [SPEC, {"deep": {"er": SPEC}}, [SPEC], TEXT, {"text": TEXT}]


@pytest.mark.parametrize("value", VALUES, ids=["mapping", "nested", "list", "text", "text in a mapping"])
def test_release_executes_nothing(value: Any, workspace: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A mapping, a list or a text that would be an object for Lightning's parser, in any argument."""
    model = gumbelzoo.create_model("text_gan", vocabulary={"tokens": ["<eos>", "x"]}, max_length=12)
    data = {"class": "text", "arguments": {"name": "grammar"}}
    folder = gumbelzoo.save_pretrained(model, workspace / "release", data=data)
    content = json.loads((folder / "config.json").read_text())
    for name in content["arguments"]:
        changed = {**content, "arguments": {**content["arguments"], name: value}}
        (folder / "config.json").write_text(json.dumps(changed))
        assert main(["test", "release", "--trainer.accelerator=cpu"]) == 2
        assert "release" in capfd.readouterr().err
        assert not (workspace / "executed").exists()


@pytest.mark.parametrize("part", ["model", "data", "trainer"])
def test_run_from_elsewhere_executes_nothing(part: str, workspace: Path) -> None:
    assert main(["fit", "--config", "tiny.yaml", "--trainer.max_steps=1"]) == 0
    file = workspace / "runs/tiny/1/config.yaml"
    content = yaml.safe_load(file.read_text())
    place = content[part] if part == "trainer" else content[part]["init_args"]
    place["callbacks" if part == "trainer" else "binarization"] = SPEC
    file.write_text(yaml.safe_dump(content))
    main(["test", "runs/tiny/1"])
    assert not (workspace / "executed").exists()


def test_metrics_with_other_options_are_not_kept(workspace: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", "--config", "tiny.yaml", "--trainer.max_steps=1"]) == 0
    capfd.readouterr()
    for option in ("--model.bound_samples=3", "--trainer.limit_test_batches=1", "--data.binarization=static"):
        assert main(["test", "runs/tiny/1", option]) == 0
        assert f"not kept, because of {option.partition('=')[0]}" in capfd.readouterr().out
    (workspace / "other.yaml").write_text("model:\n  bound_samples: 2\n")
    assert main(["test", "runs/tiny/1", "-c", "other.yaml"]) == 0
    assert "not kept, because of -c" in capfd.readouterr().out
    assert not (workspace / "runs/tiny/1/test.json").exists()
    assert main(["test", "runs/tiny/1", "--ckpt_path=last"]) == 2
    assert "leave --ckpt_path out" in capfd.readouterr().err
    assert main(["test", "runs/tiny/1", "--trainer.accelerator=cpu", "--seed_everything=3"]) == 0
    content = json.loads((workspace / "runs/tiny/1/test.json").read_text())
    assert content["seed"] == 3 and content["command"].startswith("gumbelzoo test runs/tiny/1")


def test_option_changes_the_tested_model(workspace: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", "--config", "tiny.yaml", "--trainer.max_steps=1"]) == 0
    bounds = []
    for samples in (1, 200):
        capfd.readouterr()
        assert main(["test", "runs/tiny/1", f"--model.bound_samples={samples}"]) == 0
        line = next(line for line in capfd.readouterr().out.splitlines() if line.startswith("test/bound"))
        bounds.append(float(line.split()[1]))
    assert bounds[1] < bounds[0]
    assert main(["test", "runs/tiny/1", "--model.bound_sample=3"]) == 2
    assert "did you mean '--model.bound_samples'" in capfd.readouterr().err
