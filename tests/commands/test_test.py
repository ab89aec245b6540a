"""``gumbelzoo test NAME``: a folder from elsewhere executes nothing, and only the model's own metrics are kept."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gumbelzoo
import numpy as np
import pytest
import torch
import yaml
from gumbelzoo.commands.run_folders.records import read_record
from gumbelzoo.commands.training.measured import image_metrics
from gumbelzoo.data import DATA
from gumbelzoo.pretrained.config import read_config
from gumbelzoo.train import main
from jsonargparse import Namespace

PAGE = (Path(gumbelzoo.__file__).parent / "docs/training.md").read_text(encoding="utf-8")
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


def test_infinite_metric_is_left_out(workspace: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """An NMSE over a variance of 0 is no number of JSON: its run is listed and released all the same."""
    np.save("white.npy", np.ones((60, 8, 8), np.float32))
    options = ["--data.name=arrays", "--data.binarization=none", "--data.path=white.npy", "--data.batch_size=8"]
    assert main(["fit", "--config", "tiny.yaml", *options, "--trainer.max_steps=1"]) == 0
    assert main(["test", "runs/tiny/1"]) == 0
    assert "not kept: test/nmse is inf" in capfd.readouterr().err
    assert "test/nmse" not in read_record(Path("runs/tiny/1")).tested["metrics"]
    assert main(["export", "runs/tiny/1", "release", "--half"]) == 0, capfd.readouterr().err
    assert "test/nmse" not in read_config(Path("release")).metrics


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


@pytest.fixture
def features(workspace: Path) -> Path:
    """A release of an untrained classifier of 8 x 8 images, in the working folder."""
    torch.manual_seed(0)
    model = gumbelzoo.create_model("classifier", image_shape=[1, 8, 8], widths=[4], features=6)
    return gumbelzoo.save_pretrained(model, workspace / "features")


def test_added_metrics_are_not_kept(workspace: Path, features: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """And the others are those of a test without options: the record is the same."""
    assert main(["fit", "--config", "tiny.yaml", "--trainer.max_steps=1"]) == 0
    records = []
    for options in ([], ["--fid=features", "--fid_samples=20"]):
        capfd.readouterr()
        assert main(["test", "runs/tiny/1", *options]) == 0, capfd.readouterr().err
        records.append(json.loads((workspace / "runs/tiny/1/test.json").read_text()))
    lines = dict(line.split(maxsplit=1) for line in capfd.readouterr().out.splitlines() if " " in line)
    assert lines["feature"] == "network          features" and lines["samples"] == "20, temperature 1, seed 0"
    assert lines["not"].startswith("kept: test/fid, test/precision, test/recall, test/rfid; ")
    assert float(lines["test/rfid"]) > 0
    assert records[0]["metrics"] == records[1]["metrics"]
    assert records[1]["metrics"].keys() > {"test/bound", "test/nmse", "test/psnr"}
    assert records[0].keys() == records[1].keys()


def test_metrics_of_images_are_refused_first(
    vae: Path, features: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """In one line, before anything is measured."""
    monkeypatch.setenv("TORCH_HOME", str(vae.parent / "torch"))
    for name, message in (
        ("features-mnist", "'features-mnist' takes images of shape (1, 28, 28), the data has (1, 8, 8)"),
        ("vae", "'vae' is a categorical_vae; --fid takes a classifier, such as features-mnist, or inception"),
    ):
        assert main(["test", "vae", f"--fid={name}"]) == 2
        out, err = capfd.readouterr()
        assert message in err and len(err.splitlines()) == 1
        assert "test/" not in out
    models: dict[str, Any] = {name: gumbelzoo.load(name) for name in ("vae", "features")}
    data = DATA["images"](name="digits")
    for command, model, options, message in (
        ("validate", "vae", {"fid": "features"}, "--fid is an option of `test`"),
        ("test", "vae", {"fid_samples": 20}, "add --fid=NAME"),
        ("test", "vae", {"fid": "features", "fid_samples": 2}, "must be more than 3, got 2"),
        ("test", "vae", {"fid": "inception"}, "pip install torch-fidelity|download https://"),
        ("test", "vae", {"lpips": "vgg"}, "the weights are not there: download https://"),
        ("test", "features", {"fid": "features"}, "a classifier model has no reconstructions of images"),
    ):
        given = Namespace(**{"fid": None, "fid_samples": None, "lpips": None, "seed_everything": 0, **options})
        with pytest.raises(ValueError, match=message):
            image_metrics(command, given, models[model], data)


@pytest.mark.slow
@pytest.mark.real_data
def test_page_commands_run(
    real: Callable[[str], str], workspace: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Those of the section, on a batch of the test set and with few samples: the metrics of its table."""
    monkeypatch.setenv("GUMBELZOO_DATA", real("MNIST"))
    section = PAGE.partition("## What `test` measures")[2].partition("\n## ")[0]
    named = set()
    for line in section.partition("```bash")[2].partition("```")[0].strip().splitlines():
        program, *arguments = shlex.split(line.removeprefix("python "), comments=True)
        assert program == "train.py"
        arguments[-1] = arguments[-1].replace("10000", "5")
        assert main([*arguments, "--trainer.limit_test_batches=1"]) == 0, capfd.readouterr().err
        named |= set(re.findall(r"^test/(\w+)", capfd.readouterr().out, flags=re.MULTILINE))
    table = set(re.findall(r"`(\w+)`", " ".join(re.findall(r"^\| (`[^|]+) \|", section, flags=re.MULTILINE))))
    assert table - named == {"lpips"}
