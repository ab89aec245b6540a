"""A run that was killed and resumed ends where the uninterrupted one ends, bit for bit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from gumbelzoo.callbacks import NanGuard
from gumbelzoo.train import main

FIT = ["fit", "--config", "tiny.yaml", "--checkpoint_every=1"]
EPOCH = 13  # training batches


def final(root: str, run: int = 1) -> dict[str, Any]:
    return torch.load(Path(root) / "tiny" / str(run) / "checkpoints" / "last.ckpt", weights_only=True)


def assert_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert one["global_step"] == other["global_step"]
    assert one["state_dict"].keys() == other["state_dict"].keys()
    for name, value in one["state_dict"].items():
        assert torch.equal(value, other["state_dict"][name]), name
    for index, moments in one["optimizer_states"][0]["state"].items():
        for name, value in moments.items():
            assert torch.equal(value, other["optimizer_states"][0]["state"][index][name]), (index, name)
    assert one["lr_schedulers"] == other["lr_schedulers"]
    assert torch.equal(one["random_state"][0]["torch"], other["random_state"][0]["torch"])
    assert float(one["state_dict"]["relaxed.step"]) == one["global_step"]


class Killed(BaseException):
    pass


def stop_before(batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """End the run in the middle of a step without a word to anyone, as SIGKILL does."""

    def kill(self: Any, trainer: Any, *_: Any) -> None:
        if trainer.fit_loop.total_batch_idx == batch:
            raise Killed

    monkeypatch.setattr(NanGuard, "on_before_backward", kill)


@pytest.mark.parametrize("validation", ["", "val_check_interval=5", "check_val_every_n_epoch=2"])
@pytest.mark.parametrize("end", ["max_epochs=3", "max_steps=33"])
def test_wherever_it_is_stopped(
    end: str, validation: str, workspace: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    options = [*FIT, f"--trainer.{end}", *([f"--trainer.{validation}"] if validation else [])]
    assert main([*options, "--trainer.default_root_dir=whole"]) == 0
    whole = final("whole")
    curve = (workspace / "whole/tiny/1/metrics.csv").read_text()
    for batch in (3, EPOCH - 1, EPOCH, EPOCH + 5, 2 * EPOCH):
        root = f"stopped-{batch}"
        with monkeypatch.context() as patch:
            stop_before(batch, patch)
            with pytest.raises(Killed):
                main([*options, f"--trainer.default_root_dir={root}"])
        assert final(root)["global_step"] == (batch if batch != EPOCH - 1 else batch)
        assert main([*options, f"--trainer.default_root_dir={root}", "--ckpt_path=last"]) == 0, capfd.readouterr().err
        assert_same(whole, final(root))
        assert [run.name for run in (workspace / root / "tiny").iterdir()] == ["1"]
        assert (workspace / root / "tiny/1/metrics.csv").read_text() == curve, batch
