"""SLURM jobs: a job that is queued again goes on with its own run."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from gumbelzoo.callbacks import NanGuard
from gumbelzoo.pretrained.run import checkpoint_path, read_checkpoint
from gumbelzoo.train import main

FIT = ["fit", "--config", "tiny.yaml", "--trainer.enable_progress_bar=false"]
SCONTROL = """\
#!/bin/sh
echo "$@" >> "$(dirname "$0")/calls"
"""


@pytest.fixture
def job(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Set the variables that SLURM sets for a job of one task; ``scontrol`` only notes its arguments."""
    (workspace / "bin").mkdir()
    scontrol = workspace / "bin/scontrol"
    scontrol.write_text(SCONTROL)
    scontrol.chmod(0o755)
    monkeypatch.setenv("PATH", f"{workspace / 'bin'}:{os.environ['PATH']}")

    def begin(number: int, restarts: int = 0, task: int | None = None) -> None:
        for name in ("PROCID", "LOCALID", "NODEID"):
            monkeypatch.setenv(f"SLURM_{name}", "0")
        for name in ("NTASKS", "NTASKS_PER_NODE", "NNODES"):
            monkeypatch.setenv(f"SLURM_{name}", "1")
        monkeypatch.setenv("SLURM_JOB_NAME", "zoo")
        monkeypatch.setenv("SLURM_JOB_ID", str(number))
        if restarts:
            monkeypatch.setenv("SLURM_RESTART_COUNT", str(restarts))
        else:
            monkeypatch.delenv("SLURM_RESTART_COUNT", raising=False)
        if task is not None:
            monkeypatch.setenv("SLURM_ARRAY_JOB_ID", str(number))
            monkeypatch.setenv("SLURM_ARRAY_TASK_ID", str(task))

    return begin


def last(run: str) -> dict[str, Any]:
    return read_checkpoint(checkpoint_path(Path("runs/tiny") / run, "last"))


def runs() -> list[str]:
    return sorted(run.name for run in Path("runs/tiny").iterdir())


def test_requeued_job_goes_on(job: Any, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGUSR1 saves the batch and queues the job again; the same command then ends as the uninterrupted one."""
    assert main([*FIT, "--trainer.default_root_dir=whole"]) == 0
    job(41, task=3)

    def warn(self: Any, trainer: Any, *_: Any) -> None:
        if trainer.fit_loop.total_batch_idx == 7:
            os.kill(os.getpid(), signal.SIGUSR1)

    handler = signal.getsignal(signal.SIGUSR1)
    with monkeypatch.context() as patch:
        patch.setattr(NanGuard, "on_before_backward", warn)
        assert main(FIT) == 128 + signal.SIGUSR1
    assert signal.getsignal(signal.SIGUSR1) == handler
    assert (workspace / "bin/calls").read_text() == "requeue 41_3\n"
    assert last("1")["global_step"] == 8
    job(41, restarts=1, task=3)
    assert main(FIT) == 0
    assert runs() == ["1"]
    whole = read_checkpoint(Path("whole/tiny/1/checkpoints/last.ckpt"))
    assert all(torch.equal(value, last("1")["state_dict"][name]) for name, value in whole["state_dict"].items())
    for name in ("metrics.csv", "slurm_job"):
        assert (workspace / "runs/tiny/1" / name).exists()
    assert (workspace / "runs/tiny/1/metrics.csv").read_text() == (workspace / "whole/tiny/1/metrics.csv").read_text()
    assert not list(workspace.rglob("hpc_ckpt*"))


def test_requeued_job_takes_no_other_run(job: Any, workspace: Path) -> None:
    """Not that of another seed or name of the same script, and not that of another job with the same options."""
    short = [*FIT, "--trainer.max_steps=1", "--trainer.limit_val_batches=0"]
    script = [short, [*short, "--seed_everything=7"], [*short, "--name=named"]]
    job(41)
    assert [main(command) for command in script] == [0, 0, 0]
    assert runs() == ["1", "2", "named"]
    job(41, restarts=1)
    assert [main(command) for command in script] == [0, 0, 0]
    assert runs() == ["1", "2", "named"]
    job(42, restarts=1)
    assert main([*short, "--seed_everything=7"]) == 0
    job(41)  # a shell in which the command is typed again
    assert main(short) == 0
    assert runs() == ["1", "2", "3", "4", "named"]
    assert [(Path("runs/tiny") / run / "slurm_job").read_text() for run in runs()] == ["41", "41", "42", "41", "41"]
    assert (Path("runs/tiny/3/config.yaml")).read_text() == Path("runs/tiny/2/config.yaml").read_text()


@pytest.mark.parametrize("name", [[], ["--name=named"]])
def test_requeued_job_without_checkpoint(
    name: list[str], job: Any, workspace: Path, killed_before: Callable[[int, list[str]], None]
) -> None:
    """Its run has nothing to go on from, and is begun again."""
    short = [*FIT, "--trainer.max_steps=3", *name]
    job(41)
    killed_before(1, short)
    job(41, restarts=2)
    assert main(short) == 0
    assert runs() == ["named" if name else "1"]
    assert last(runs()[0])["global_step"] == 3


def test_measuring_reads_no_hpc_ckpt(job: Any, workspace: Path) -> None:
    """Lightning would load it in the place of the weights that are named."""
    assert main([*FIT, "--trainer.max_steps=1", "--trainer.limit_val_batches=0"]) == 0
    job(41)
    (workspace / "runs/hpc_ckpt_1.ckpt").write_bytes(b"another run's")
    assert main(["test", "runs/tiny/1", "--trainer.accelerator=cpu"]) == 0
    assert main([*FIT, "--trainer.fast_dev_run=true"]) == 0
