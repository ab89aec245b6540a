"""What a run folder keeps: its best checkpoint, its place, its lock, and the state of a stopped validation."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from gumbelzoo.commands.run_folders.lock import RunLock
from gumbelzoo.models.vae import CategoricalVAE
from gumbelzoo.pretrained.run import checkpoint_path, read_checkpoint
from gumbelzoo.train import main

FIT = ["fit", "--config", "tiny.yaml", "--trainer.enable_progress_bar=false"]
RUN = Path("runs/tiny/1")


def weights(run: Path, name: str) -> dict[str, Any]:
    return read_checkpoint(checkpoint_path(run, name))["state_dict"]


def assert_equal(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert one.keys() == other.keys()
    assert all(torch.equal(value, other[name]) for name, value in one.items())


@pytest.fixture
def worsening(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each validation is worse than the one before."""

    def validate(self: Any, batch: Any, batch_idx: int) -> None:
        self.log("val/elbo", float(self.global_step), batch_size=1)

    monkeypatch.setattr(CategoricalVAE, "validation_step", validate)


@pytest.mark.usefixtures("worsening")
@pytest.mark.parametrize("change", [shutil.move, shutil.copytree])
def test_moved_run_keeps_its_best_checkpoint(change: Any, workspace: Path, recwarn: Any) -> None:
    assert main([*FIT, "--trainer.max_epochs=2", "--trainer.default_root_dir=a"]) == 0
    best = weights(workspace / "a/tiny/1", "best")
    change("a", "b")
    resume = ["--trainer.max_epochs=3", "--trainer.default_root_dir=b", "--ckpt_path=last"]
    assert main([*FIT, "--model.optimizer.schedule=cosine", *resume]) == 0
    assert_equal(weights(workspace / "b/tiny/1", "best"), best)
    assert read_checkpoint(workspace / "b/tiny/1/checkpoints/last.ckpt")["global_step"] == 39
    assert not [warning for warning in recwarn if "dirpath" in str(warning.message)]


@pytest.mark.usefixtures("worsening")
def test_missing_best_checkpoint_is_written_again(workspace: Path) -> None:
    assert main([*FIT, "--trainer.max_epochs=2"]) == 0
    (RUN / "checkpoints/best.ckpt").unlink()
    assert main([*FIT, "--trainer.max_epochs=3", "--ckpt_path=last"]) == 0
    assert read_checkpoint(RUN / "checkpoints/best.ckpt")["global_step"] == 39


def test_home_folder_of_runs(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(workspace / "home"))
    assert main([*FIT, "--trainer.max_steps=1", "--trainer.default_root_dir=~/zoo"]) == 0
    assert (workspace / "home/zoo/tiny/1/checkpoints/last.ckpt").is_file()
    assert not (workspace / "~").exists()


# -- one process at a time --------------------------------------------------------------------------------------------

HOLD = """\
import sys, time
from pathlib import Path
from gumbelzoo.commands.run_folders.lock import RunLock
lock = RunLock()
lock.acquire(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(60)
"""


def test_run_in_use_is_not_resumed(workspace: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The holder is named; once it was killed, its lock is taken over."""
    assert main([*FIT, "--trainer.max_steps=2"]) == 0
    with subprocess.Popen([sys.executable, "-c", HOLD, RUN], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert main([*FIT, "--trainer.max_steps=3", "--ckpt_path=last"]) == 2
        assert f"{RUN} is in use by process {holder.pid} on {os.uname().nodename}" in capfd.readouterr().err
        holder.kill()
    assert (RUN / "lock").exists()
    assert main([*FIT, "--trainer.max_steps=3", "--ckpt_path=last"]) == 0
    assert not (RUN / "lock").exists()


def test_lock_of_children_of_a_killed_process(tmp_path: Path) -> None:
    """Children keep the lock for some seconds, but the process that the file names is dead."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    held = RunLock()
    held.acquire(tmp_path)
    (tmp_path / "lock").write_text(f"{ended.pid} {os.uname().nodename}")
    lock = RunLock()
    lock.acquire(tmp_path)
    assert (tmp_path / "lock").read_text() == f"{os.getpid()} {os.uname().nodename}"
    held.release()
    assert (tmp_path / "lock").exists()  # it is no longer that of the first
    lock.release()
    assert not (tmp_path / "lock").exists()


# -- a stop in a validation -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "interval",
    ["--trainer.val_check_interval=5", pytest.param("--trainer.val_check_interval=1.0", marks=pytest.mark.slow)],
)
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_stop_in_a_validation_saves_the_batch(
    number: signal.Signals, code: int, interval: str, workspace: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    """The validation is run again, from its start, and the run is that of one that was never stopped."""
    options = [*FIT, interval, "--data.eval_batch_size=20", "--trainer.max_epochs=2"]
    assert main([*options, "--trainer.default_root_dir=whole"]) == 0
    step, handler = CategoricalVAE.validation_step, signal.getsignal(number)

    def stop(self: Any, batch: Any, batch_idx: int) -> Any:
        if batch_idx == 1:
            os.kill(os.getpid(), number)
        return step(self, batch, batch_idx)

    try:
        with monkeypatch.context() as patch:
            patch.setattr(CategoricalVAE, "validation_step", stop)
            assert main(options) == code
    finally:
        signal.signal(number, handler)
    assert "--ckpt_path last" in capfd.readouterr().err
    assert read_checkpoint(RUN / "checkpoints/last.ckpt")["global_step"] == (5 if interval.endswith("5") else 13)
    assert main([*options, "--ckpt_path=last"]) == 0
    for name in ("best", "last"):
        assert_equal(weights(RUN, name), weights(Path("whole/tiny/1"), name))
    assert (RUN / "metrics.csv").read_text() == Path("whole/tiny/1/metrics.csv").read_text()


def test_stop_before_a_checkpoint_offers_none(workspace: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any) -> None:
    def stop(self: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(CategoricalVAE, "on_train_start", stop)
    assert main(FIT) == 130
    assert "--ckpt_path" not in capfd.readouterr().err
    assert not RUN.exists()


@pytest.mark.parametrize("interval", [5])
def test_kill_in_a_validation_after_a_checkpoint(interval: int, workspace: Path, monkeypatch: Any) -> None:
    """A checkpoint of the batch before a validation does not skip that validation."""
    options = [*FIT, f"--trainer.val_check_interval={interval}", f"--checkpoint_every={interval}"]
    options += ["--trainer.max_epochs=1"]
    assert main([*options, "--trainer.default_root_dir=whole"]) == 0

    def kill(self: Any, batch: Any, batch_idx: int) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(CategoricalVAE, "validation_step", kill)
        assert main(options) == 1
    assert main([*options, "--ckpt_path=last"]) == 0
    assert (RUN / "metrics.csv").read_text() == Path("whole/tiny/1/metrics.csv").read_text()
    assert_equal(weights(RUN, "best"), weights(Path("whole/tiny/1"), "best"))


def test_last_validation_is_not_repeated(workspace: Path) -> None:
    """A run that ended with a validation within an epoch goes on behind that validation."""
    options = [*FIT, "--trainer.val_check_interval=5", "--model.optimizer.schedule=constant"]
    assert main([*options, "--trainer.max_steps=8", "--trainer.default_root_dir=whole"]) == 0
    assert main([*options, "--trainer.max_steps=5"]) == 0
    assert main([*options, "--trainer.max_steps=8", "--ckpt_path=last"]) == 0
    assert (RUN / "metrics.csv").read_text() == Path("whole/tiny/1/metrics.csv").read_text()


# -- what is measured -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["validate", "test"])
def test_measured_run_is_named_and_compared(command: str, workspace: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main([*FIT, "--trainer.max_epochs=1"]) == 0
    capfd.readouterr()
    measure = [command, "--config", "tiny.yaml", "--trainer.enable_progress_bar=false"]
    assert main(measure) == 0
    lines = capfd.readouterr().out.splitlines()
    assert lines[0].split() == ["run", str(RUN)]
    assert lines[1].split() == ["checkpoint", str(RUN / "checkpoints/best.ckpt")]
    assert main([*measure, "--model.estimator=reinmax"]) == 2
    assert "begun with model.estimator=gumbel_softmax, not reinmax: its weights" in capfd.readouterr().err


# -- SLURM ------------------------------------------------------------------------------------------------------------


def test_requeued_checkpoint_stays_with_its_run(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lightning starts from any hpc_ckpt in the trainer's root; another run's is not there."""
    assert main([*FIT, "--trainer.max_steps=3"]) == 0
    for folder in ("runs", "runs/tiny"):
        shutil.copy(RUN / "checkpoints/last.ckpt", Path(folder) / "hpc_ckpt_1.ckpt")
    for name, value in {"SLURM_NTASKS": "1", "SLURM_JOB_NAME": "zoo", "SLURM_JOB_ID": "1"}.items():
        monkeypatch.setenv(name, value)
    for name in ("SLURM_PROCID", "SLURM_LOCALID", "SLURM_NODEID"):
        monkeypatch.setenv(name, "0")
    assert main([*FIT, "--trainer.max_steps=2", "--seed_everything=7"]) == 0
    assert read_checkpoint(Path("runs/tiny/2/checkpoints/last.ckpt"))["global_step"] == 2
