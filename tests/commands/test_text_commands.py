"""Text models from the command line: pretraining and objective in one run, killed and resumed, and every command."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from gumbelzoo.models.text.objectives.base import OBJECTIVES
from gumbelzoo.train import main

TINY = """\
model:
  class_path: text_gan
  init_args:
    objective: OBJECTIVE
    pretraining: {steps: 3, discriminator_steps: DISCRIMINATOR_STEPS}
    generator: {name: lstm, hidden: 8}
    test_samples: 40
data:
  class_path: text
  init_args: {name: grammar, batch_size: 40, eval_batch_size: 1000}
trainer:
  accelerator: cpu
  max_steps: 8
  limit_train_batches: 5
  limit_val_batches: 1
  log_every_n_steps: 1
"""


SPECS = {
    "scheduled_sampling": "{name: scheduled_sampling, steps: 10}",
    "gumbel": "{name: gumbel, temperature: {name: linear, initial: 5.0, final: 1.0, steps: 6}}",
    "seqgan": "{name: seqgan, rollouts: 1, baseline: moving_average}",
    "organ": "{name: organ, domain_reward: {name: token_share, tokens: [x]}}",
    "organ_gumbel": "{name: organ_gumbel, domain_reward: {name: token_share, tokens: [x]}}",
    "professor_forcing": "{name: professor_forcing, adversary: {width: 4}}",
}


def write(objective: str) -> None:
    """``text.yaml`` of an objective; an adversarial one pretrains its discriminator."""
    steps = int(OBJECTIVES[objective].adversarial)
    text = TINY.replace("DISCRIMINATOR_STEPS", str(steps)).replace("OBJECTIVE", SPECS[objective])
    Path("text.yaml").write_text(text)


def final(root: str) -> dict[str, Any]:
    return torch.load(Path(root) / "text/1/checkpoints/last.ckpt", weights_only=True)


@pytest.mark.parametrize(
    "objective",
    [
        "gumbel",
        *(pytest.param(name, marks=pytest.mark.slow) for name in OBJECTIVES.names() if name not in ("mle", "gumbel")),
    ],
)
def test_killed_run_resumes_exactly(
    objective: str, workspace: Path, killed_before: Callable[[int, list[str]], None]
) -> None:
    """Killed within an epoch of five batches, in pretraining (three batches) and after it."""
    write(objective)
    options = ["fit", "--config", "text.yaml", "--checkpoint_every=1"]
    assert main([*options, "--trainer.default_root_dir=whole"]) == 0
    whole = final("whole")
    assert whole["global_step"] == 8
    for stop in (2, 6):
        root = f"--trainer.default_root_dir=stopped-{stop}"
        killed_before(stop, [*options, root])
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
        curves = [(workspace / root / "text/1/metrics.csv").read_text() for root in ("whole", f"stopped-{stop}")]
        assert curves[0] == curves[1]


def test_every_text_command(workspace: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write("gumbel")
    assert main(["fit", "--config", "text.yaml"]) == 0, capfd.readouterr().err
    printed = capfd.readouterr().out
    assert "use last.ckpt" in printed and "samples.png" not in printed
    assert not (workspace / "runs/text/1/checkpoints/best.ckpt").exists()  # it would be older than the end
    last = torch.load("runs/text/1/checkpoints/last.ckpt", weights_only=True)
    assert last["global_step"] == 8 and last["hyper_parameters"]["vocabulary"]["level"] == "character"
    assert "vocabulary" not in (workspace / "runs/text/1/config.yaml").read_text()
    assert main(["test", "runs/text/1"]) == 0, capfd.readouterr().err
    printed = capfd.readouterr().out
    for name in ("nll", "valid", "distinct", "total_variation"):
        assert f"test/{name} " in printed
    assert main(["sample", "runs/text/1", "-n", "5", "--prefix", "x+"]) == 0, capfd.readouterr().err
    lines = capfd.readouterr().out.splitlines()
    assert len(lines) == 5 and all(line.startswith("x+") for line in lines)
    assert main(["sample", "runs/text/1", "-n", "7", "--out", "texts/file.txt", "--top_k", "1"]) == 0
    assert len((workspace / "texts/file.txt").read_text().splitlines()) == 7
    capfd.readouterr()
    assert main(["sample", "runs/text/1", "--prefix", "y"]) == 2
    assert "'y' is not one of the 6 tokens" in capfd.readouterr().err
    assert main(["export", "runs/text/1", "released"]) == 0, capfd.readouterr().err
    capfd.readouterr()
    assert main(["test", "released"]) == 0, capfd.readouterr().err
    figure = json.loads(Path("runs/text/1/test.json").read_text())["metrics"]["test/nll"]
    assert f"test/nll                 {figure:.4f}" in capfd.readouterr().out
    assert main(["test", "released", "--data.name=names"]) in (1, 2)
    assert main(["fit", "--config", "text.yaml", "--data.class_path=images", "--data.name=digits"]) == 2
