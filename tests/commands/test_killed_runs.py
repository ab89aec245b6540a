"""A run that was killed and resumed is bit for bit the uninterrupted one."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
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


MID_EPOCH, EPOCH_END, NEXT_EPOCH = 3, EPOCH, EPOCH + 5


@pytest.mark.parametrize(
    ("end", "validation"),
    [
        ("max_epochs=2", "val_check_interval=5"),
        pytest.param("max_steps=20", "check_val_every_n_epoch=2", marks=pytest.mark.slow),
        pytest.param("max_epochs=3", "check_val_every_n_epoch=2", marks=pytest.mark.slow),
        pytest.param("max_epochs=3", "check_val_every_n_epoch=1", marks=pytest.mark.slow),
        pytest.param("max_steps=33", "val_check_interval=5", marks=pytest.mark.slow),
        pytest.param("max_steps=33", "check_val_every_n_epoch=1", marks=pytest.mark.slow),
    ],
)
def test_resume_is_exact(
    end: str, validation: str, workspace: Path, killed_before: Callable[[int, list[str]], None]
) -> None:
    options = [*FIT, f"--trainer.{end}", f"--trainer.{validation}"]
    assert main([*options, "--trainer.default_root_dir=whole"]) == 0
    whole = final("whole")
    curve = (workspace / "whole/tiny/1/metrics.csv").read_text()
    for batch in (MID_EPOCH, EPOCH_END, NEXT_EPOCH):
        root = f"stopped-{batch}"
        killed_before(batch, [*options, f"--trainer.default_root_dir={root}"])
        assert final(root)["global_step"] == batch
        assert main([*options, f"--trainer.default_root_dir={root}", "--ckpt_path=last"]) == 0
        assert_same(whole, final(root))
        assert [run.name for run in (workspace / root / "tiny").iterdir()] == ["1"]
        assert (workspace / root / "tiny/1/metrics.csv").read_text() == curve


def test_resume_of_a_finished_run(workspace: Path) -> None:
    constant = [*FIT, "--model.optimizer.schedule=constant"]
    assert main([*constant, "--trainer.max_steps=17", "--trainer.default_root_dir=whole"]) == 0
    for steps in (8, EPOCH, 17):
        resume = [] if steps == 8 else ["--ckpt_path=last"]
        assert main([*constant, f"--trainer.max_steps={steps}", *resume]) == 0
        assert final("runs")["global_step"] == steps
    assert_same(final("whole"), final("runs"))


def test_steps_after_finished_epochs(workspace: Path) -> None:
    """A run that epochs ended goes on to ``max_steps``, within the epochs that it may have."""
    constant = [*FIT, "--model.optimizer.schedule=constant"]
    assert main([*constant, "--trainer.max_steps=17", "--trainer.default_root_dir=whole"]) == 0
    assert main([*constant, "--trainer.max_epochs=1"]) == 0
    assert main([*constant, "--trainer.max_epochs=2", "--trainer.max_steps=17", "--ckpt_path=last"]) == 0
    assert_same(final("whole"), final("runs"))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_saves_and_says_how_to_resume(
    number: signal.Signals, code: int, workspace: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    def interrupt(self: Any, trainer: Any, *_: Any) -> None:
        if trainer.fit_loop.total_batch_idx == 7:
            os.kill(os.getpid(), number)

    options = ["fit", "--config", "tiny.yaml"]
    assert main([*options, "--trainer.default_root_dir=whole"]) == 0
    handler = signal.getsignal(number)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(NanGuard, "on_before_backward", interrupt)
            assert main(options) == code
    finally:
        signal.signal(number, handler)
    assert "--ckpt_path last" in capfd.readouterr().err
    assert final("runs")["global_step"] == 8
    metadata = Path("runs/tiny/1/fit.json")
    assert json.loads(metadata.read_text())["batches"] == 8  # where it was interrupted
    with monkeypatch.context() as patch:
        patch.setattr(NanGuard, "on_before_backward", lambda *_: (_ for _ in ()).throw(RuntimeError("failed")))
        assert main([*options, "--ckpt_path=last"]) == 1
    assert not metadata.exists()  # a resumed run has not ended
    assert main([*options, "--ckpt_path=last"]) == 0
    assert_same(final("whole"), final("runs"))
    assert json.loads(metadata.read_text())["batches"] == 39


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--model.latents=5", "model.latents=4, not 5"),
        ("--model.estimator=straight_through", "model.estimator=gumbel_softmax, not straight_through"),
        ("--model.estimator.samples=8", "begun with model.estimator.samples=None, not 8: "),
        ("--model.optimizer.warmup=9", "begun with model.optimizer.warmup=0, not 9: "),
        ("--data.batch_size=7", "data.batch_size=100, not 7"),
        ("--seed_everything=1", "seed_everything=0, not 1"),
    ],
)
def test_resume_with_other_options_raises(option: str, message: str, workspace: Path, capfd: Any) -> None:
    assert main([*FIT, "--trainer.max_steps=3"]) == 0
    before = {path: path.read_bytes() for path in (workspace / "runs").rglob("*") if path.is_file()}
    assert main([*FIT, "--trainer.max_steps=5", option, "--ckpt_path=last"]) == 2
    assert message in capfd.readouterr().err
    assert before == {path: path.read_bytes() for path in (workspace / "runs").rglob("*") if path.is_file()}
    assert main([*FIT, "--trainer.max_steps=5", "--ckpt_path=last"]) == 0


def test_resume_with_equal_options(workspace: Path) -> None:
    """The same part may be written in another way, and files may lie elsewhere."""
    assert main([*FIT, "--trainer.max_steps=3"]) == 0
    same = ["--model.estimator={name: gumbel_softmax}", "--model.temperature.rate=1e-2", "--data.root=elsewhere"]
    assert main([*FIT, "--trainer.max_steps=5", *same, "--ckpt_path=last"]) == 0
    assert final("runs")["global_step"] == 5


def test_failure_before_training_changes_no_file(workspace: Path) -> None:
    assert main([*FIT, "--trainer.max_steps=3"]) == 0
    before = {path: path.read_bytes() for path in (workspace / "runs").rglob("*") if path.is_file()}
    for option in ("--trainer.devices=0", "--data.batch_size=0", "--trainer.max_time=banana"):
        assert main([*FIT, option]) != 0
        assert main([*FIT, option, "--ckpt_path=last"]) != 0
    assert main([*FIT, "--trainer.max_steps=0", "--ckpt_path=last"]) in (0, 1, 2)
    after = {path: path.read_bytes() for path in (workspace / "runs").rglob("*") if path.is_file()}
    assert {path for path in after if path.name not in ("fit.json", "curves.png")} == {
        path for path in before if path.name not in ("fit.json", "curves.png")
    }
    assert all(after[path] == before[path] for path in before if path.name in ("config.yaml", "metrics.csv"))


def test_max_time_ends_a_run(workspace: Path) -> None:
    start = time.monotonic()
    assert main([*FIT, "--trainer.max_epochs=100000", "--trainer.max_time=00:00:00:01"]) == 0
    assert time.monotonic() - start < 60
    assert 0 < final("runs")["global_step"] < 100_000


def test_resume_takes_the_newest_run_only(
    workspace: Path, killed_before: Callable[[int, list[str]], None], capfd: Any
) -> None:
    assert main([*FIT, "--trainer.max_steps=3"]) == 0
    killed_before(1, ["fit", "--config", "tiny.yaml"])  # in its first steps, before it wrote anything
    assert main(["fit", "--config", "tiny.yaml", "--ckpt_path=last"]) == 2
    printed = capfd.readouterr().err
    assert "runs/tiny/2 has not written last.ckpt" in printed and "runs/tiny/1/checkpoints/last.ckpt" in printed
