"""Two processes: different noise, reduced metrics, equal weights, exact resume, and a stop of both."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from gumbelzoo.pretrained.run import read_checkpoint

RUN = Path("runs/tiny/1")
LAST = RUN / "checkpoints/last.ckpt"
UNTESTED = "not tested with gumbelzoo: --trainer.callbacks=Spy\n"  # once
SECONDS = 15  # in which a stopped run has to end
SPY = """
from pathlib import Path

import torch
from lightning.pytorch import Callback

class Spy(Callback):
    def on_train_batch_end(self, trainer, *_):
        Path(f"batches-{trainer.global_rank}").write_text(str(trainer.global_step))

    def on_train_end(self, trainer, module):
        state = {
            "weights": {name: value.clone() for name, value in module.state_dict().items()},
            "draw": torch.rand(3),
            "val": float(trainer.callback_metrics.get("val/elbo", 0.0)),
            "step": trainer.global_step,
        }
        torch.save(state, f"rank-{trainer.global_rank}.pt")
"""
# One batch of the learning rate is like another, wherever the run ends.
ENDLESS = ("--model.optimizer.schedule=constant", "--trainer.max_epochs=-1")


def start(workspace: Path, *options: str) -> subprocess.Popen[str]:
    """Start a fit of two processes, in a process group of its own."""
    (workspace / "spy.py").write_text(SPY)
    command = [sys.executable, "-m", "gumbelzoo.train", "fit", "--config", "tiny.yaml", "--trainer.devices=2"]
    command += ["--trainer.strategy=ddp", "--trainer.accelerator=cpu", "--trainer.callbacks+=spy.Spy", *options]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(workspace)}
    output = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, text=True, env=environment, process_group=0, **output)


def fit(workspace: Path, *options: str) -> list[dict[str, Any]]:
    """Return the final state of each of two processes."""
    process = start(workspace, *options)
    _, errors = process.communicate(timeout=200)
    assert process.returncode == 0, errors
    assert errors.startswith(f"{UNTESTED}training runs/tiny/1 on digits: ") and errors.count("\n") == 2
    states = [torch.load(workspace / f"rank-{rank}.pt", weights_only=True) for rank in (0, 1)]
    first, second = states
    assert first["step"] == second["step"]
    assert first["val"] == second["val"]
    assert all(torch.equal(first["weights"][name], second["weights"][name]) for name in first["weights"])
    assert not torch.equal(first["draw"], second["draw"])
    assert [run.name for run in RUN.parent.iterdir()] == ["1"]
    return states


def stop(process: subprocess.Popen[str], member: str, number: signal.Signals) -> str:
    """Send a signal to the parent, the child or the group; return what was printed once all have ended."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    if member == "group":
        os.killpg(process.pid, number)
    else:
        os.kill(int(children[0]) if member == "child" and children else process.pid, number)
    begun = time.monotonic()
    try:
        _, errors = process.communicate(timeout=SECONDS)
        while is_alive(process.pid):
            assert time.monotonic() - begun < SECONDS
            time.sleep(0.05)
    finally:
        if is_alive(process.pid):
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    return errors


def is_alive(group: int) -> bool:
    """True while a process of the group has not ended."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def wait_for_batch(process: subprocess.Popen[str], batch: int) -> None:
    """Wait until the first process has trained so many batches."""
    deadline, path = time.monotonic() + 100, Path("batches-0")
    while not path.is_file() or int(path.read_text() or 0) < batch:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds children in /proc")
def test_two_processes_stop_and_go_on(workspace: Path) -> None:
    """SIGTERM to one process in a step, Ctrl-C in a validation; both save the last batch, and the run goes on."""
    options = [*ENDLESS, "--checkpoint_every=1000000", "--data.eval_batch_size=4", "--data.batch_size=50"]
    step = 0
    for member, number, code, validation in (
        ("child", signal.SIGTERM, 143, "--trainer.check_val_every_n_epoch=1000"),
        ("group", signal.SIGINT, 130, "--trainer.val_check_interval=1"),  # a batch takes less than its validation
    ):
        resume = ["--ckpt_path=last"] if step else []
        process = start(workspace, *options, "--trainer.max_steps=100000", validation, *resume)
        wait_for_batch(process, step + 1)
        errors = stop(process, member, number)
        assert process.returncode == code
        how = "terminated" if code == 143 else "interrupted"
        assert errors.endswith(f"fit: {how}; go on with the same command and --ckpt_path last\n")
        assert errors.startswith(f"{UNTESTED}training runs/tiny/1 on digits: ") and errors.count("\n") == 3
        stopped = read_checkpoint(LAST)["global_step"]
        assert stopped == int(Path("batches-0").read_text()) == int(Path("batches-1").read_text()) > step
        assert json.loads((RUN / "fit.json").read_text())["batches"] == stopped
        assert not (RUN / "lock").exists()
        step = stopped
    options += ["--trainer.val_check_interval=1", f"--trainer.max_steps={step + 2}"]
    first, _ = fit(workspace, *options, "--ckpt_path=last")
    last = read_checkpoint(LAST)
    assert first["step"] == last["global_step"] == step + 2
    assert not torch.equal(last["random_state"][0]["torch"], last["random_state"][1]["torch"])


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds children in /proc")
def test_two_processes_stop_at_any_moment(workspace: Path) -> None:
    """20 times SIGTERM, from the start on; the stopped run is bit for bit the one that was never stopped."""
    options = [*ENDLESS, "--checkpoint_every=1000000", "--data.eval_batch_size=20", "--trainer.val_check_interval=3"]
    begun = time.monotonic()
    fit(workspace, *options, "--trainer.max_steps=5")
    whole, choice, step, stops = time.monotonic() - begun, random.Random(0), 5, 0
    for member in choice.choices(("parent", "child", "group"), k=20):
        for file in workspace.glob("batches-*"):
            file.unlink()
        process = start(workspace, *options, "--trainer.max_steps=1000000", "--ckpt_path=last")
        time.sleep(choice.uniform(0, 1.5 * whole))
        errors = stop(process, member, signal.SIGTERM)
        assert "Traceback" not in errors
        if (workspace / "batches-0").is_file():
            assert read_checkpoint(LAST)["global_step"] == int((workspace / "batches-0").read_text())
            stops += 1
        assert read_checkpoint(LAST)["global_step"] >= step
        step = read_checkpoint(LAST)["global_step"]
    assert stops >= 5
    resumed = fit(workspace, *options, f"--trainer.max_steps={step + 1}", "--ckpt_path=last")
    RUN.rename("stopped")
    for one, other in zip(fit(workspace, *options, f"--trainer.max_steps={step + 1}"), resumed, strict=True):
        assert torch.equal(one["draw"], other["draw"])
        assert all(torch.equal(one["weights"][name], other["weights"][name]) for name in one["weights"])
    assert (RUN / "metrics.csv").read_text() == Path("stopped/metrics.csv").read_text()


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds children in /proc")
@pytest.mark.parametrize("member", ["parent", "child"])
@pytest.mark.parametrize("batch", [None, 3])
def test_process_outlives_no_other(member: str, batch: int | None, workspace: Path) -> None:
    """One is killed, while both start or in training; the other one ends, and the run goes on."""
    process = start(workspace, *ENDLESS, "--checkpoint_every=1", "--trainer.max_steps=1000000")
    if batch is None:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        while not children.read_text():
            time.sleep(0.05)
    else:
        wait_for_batch(process, batch)
    errors = stop(process, member, signal.SIGKILL)
    if batch is None:
        assert not LAST.exists()
        return
    assert "another process of this run has ended" in errors
    step = read_checkpoint(LAST)["global_step"]
    assert step >= batch - 1  # the batch in hand may be lost
    fit(workspace, *ENDLESS, f"--trainer.max_steps={step + 30}", "--ckpt_path=last")
