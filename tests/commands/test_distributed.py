"""Two processes: different noise, reduced metrics, equal weights, exact resume."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

SPY = """
import torch
from lightning.pytorch import Callback

class Spy(Callback):
    def on_train_end(self, trainer, module):
        state = {
            "weights": {name: value.clone() for name, value in module.state_dict().items()},
            "draw": torch.rand(3),
            "val": float(trainer.callback_metrics["val/elbo"]),
            "step": trainer.global_step,
        }
        torch.save(state, f"rank-{trainer.global_rank}.pt")
"""


def fit(workspace: Path, *options: str) -> list[dict[str, Any]]:
    """Return the final state of each of two processes."""
    (workspace / "spy.py").write_text(SPY)
    command = [sys.executable, "-m", "gumbelzoo.train", "fit", "--config", "tiny.yaml", "--trainer.devices=2"]
    command += ["--trainer.strategy=ddp", "--trainer.accelerator=cpu", "--trainer.callbacks+=spy.Spy", *options]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(workspace)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=200)
    assert done.returncode == 0, done.stderr
    states = [torch.load(workspace / f"rank-{rank}.pt", weights_only=True) for rank in (0, 1)]
    first, second = states
    assert first["step"] == second["step"]
    assert first["val"] == second["val"]
    assert all(torch.equal(first["weights"][name], second["weights"][name]) for name in first["weights"])
    assert not torch.equal(first["draw"], second["draw"])
    assert [run.name for run in (workspace / "runs/tiny").iterdir()] == ["1"]
    return states


def test_two_processes(workspace: Path) -> None:
    first, _ = fit(workspace, "--trainer.max_epochs=2")
    assert first["step"] == 2 * (1397 // 200)
    last = torch.load(workspace / "runs/tiny/1/checkpoints/last.ckpt", weights_only=True)
    assert not torch.equal(last["random_state"][0]["torch"], last["random_state"][1]["torch"])
    assert json.loads((workspace / "runs/tiny/1/fit.json").read_text())["batches"] == first["step"]


@pytest.mark.slow
def test_two_processes_resume_exactly(workspace: Path) -> None:
    constant = ("--model.optimizer.schedule=constant", "--checkpoint_every=1")
    fit(workspace, "--trainer.max_epochs=1", *constant)
    resumed = fit(workspace, "--trainer.max_epochs=2", *constant, "--ckpt_path=last")
    shutil.rmtree(workspace / "runs")
    whole = fit(workspace, "--trainer.max_epochs=2", *constant)
    for one, other in zip(whole, resumed, strict=True):
        assert torch.equal(one["draw"], other["draw"])
        assert all(torch.equal(one["weights"][name], other["weights"][name]) for name in one["weights"])
