"""Text from the command line: both phases in one run, killed and resumed, every verb."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from gumbelzoo.callbacks import NanGuard
from gumbelzoo.models.text_objectives import OBJECTIVES
from gumbelzoo.train import main

TINY = """\
model:
  class_path: TextGAN
  init_args:
    objective: OBJECTIVE
    pretrain_steps: 3
    discriminator_pretrain_steps: 1
    rollouts: 1
    baseline: moving_average
    scheduled_steps: 10
    generator_options: {hidden: 8}
    temperature: {name: linear, initial: 5.0, final: 1.0, steps: 6}
    test_samples: 40
data:
  class_path: TextData
  init_args: {name: grammar, batch_size: 40, eval_batch_size: 1000}
trainer:
  accelerator: cpu
  max_steps: 8
  limit_train_batches: 5
  limit_val_batches: 1
  log_every_n_steps: 1
"""


class Killed(BaseException):
    pass


def final(root: str) -> dict[str, Any]:
    return torch.load(Path(root) / "text/1/checkpoints/last.ckpt", weights_only=True)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["gumbelzoo"])
    return tmp_path


@pytest.mark.parametrize("objective", [name for name in OBJECTIVES.names() if name != "mle"])
def test_killed_and_resumed_is_uninterrupted(objective: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In mid-epoch, in each phase: five batches an epoch, three of pretraining."""
    (folder / "text.yaml").write_text(TINY.replace("OBJECTIVE", objective))
    options = ["fit", "--config", "text.yaml", "--checkpoint_every=1"]
    assert main([*options, "--trainer.default_root_dir=whole"]) == 0
    whole = final("whole")
    assert whole["global_step"] == 8
    for stop in (2, 6):

        def kill(self: Any, trainer: Any, *_: Any, stop: int = stop) -> None:
            if trainer.fit_loop.total_batch_idx == stop:
                raise Killed

        root = f"--trainer.default_root_dir=stopped-{stop}"
        with monkeypatch.context() as patch:
            patch.setattr(NanGuard, "on_before_backward", kill)
            with pytest.raises(Killed):
                main([*options, root])
        assert final(f"stopped-{stop}")["global_step"] == stop
        assert main([*options, root, "--ckpt_path=last"]) == 0
        other = final(f"stopped-{stop}")
        assert other["global_step"] == 8
        for name, value in whole["state_dict"].items():
            assert torch.equal(value, other["state_dict"][name]), name
        for one, two in zip(whole["optimizer_states"], other["optimizer_states"], strict=True):
            for index, moments in one["state"].items():
                for name, value in moments.items():
                    assert torch.equal(value, two["state"][index][name]), (index, name)
        assert torch.equal(whole["random_state"][0]["torch"], other["random_state"][0]["torch"])
        curves = [(folder / root / "text/1/metrics.csv").read_text() for root in ("whole", f"stopped-{stop}")]
        assert curves[0] == curves[1]


def test_every_command(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (folder / "text.yaml").write_text(TINY.replace("OBJECTIVE", "gumbel"))
    assert main(["fit", "--config", "text.yaml"]) == 0, capfd.readouterr().err
    printed = capfd.readouterr().out
    assert "the last one stands" in printed and "samples.png" not in printed
    assert not (folder / "runs/text/1/checkpoints/best.ckpt").exists()  # it would be older than the end
    last = torch.load("runs/text/1/checkpoints/last.ckpt", weights_only=True)
    assert last["global_step"] == 8 and last["hyper_parameters"]["vocabulary"]["level"] == "character"
    assert "vocabulary" not in (folder / "runs/text/1/config.yaml").read_text()
    assert main(["test", "runs/text/1"]) == 0, capfd.readouterr().err
    printed = capfd.readouterr().out
    for name in ("nll", "valid", "distinct", "total_variation"):
        assert f"test/{name} " in printed
    assert main(["sample", "runs/text/1", "-n", "5", "--prefix", "x+"]) == 0, capfd.readouterr().err
    lines = capfd.readouterr().out.splitlines()
    assert len(lines) == 5 and all(line.startswith("x+") for line in lines)
    assert main(["sample", "runs/text/1", "-n", "7", "--out", "texts/file.txt", "--top_k", "1"]) == 0
    assert len((folder / "texts/file.txt").read_text().splitlines()) == 7
    capfd.readouterr()
    assert main(["sample", "runs/text/1", "--prefix", "y"]) == 2
    assert "'y' is not one of the 6 tokens" in capfd.readouterr().err
    assert main(["export", "runs/text/1", "released"]) == 0, capfd.readouterr().err
    capfd.readouterr()
    assert main(["test", "released"]) == 0, capfd.readouterr().err
    figure = json.loads(Path("runs/text/1/test.json").read_text())["metrics"]["test/nll"]
    assert f"test/nll                 {figure:.4f}" in capfd.readouterr().out
    assert main(["test", "released", "--data.name=names"]) in (1, 2)
    assert main(["fit", "--config", "text.yaml", "--data.class_path=ImageData", "--data.name=digits"]) == 2
