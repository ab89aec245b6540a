"""The page of large priors and many runs: each command that needs no account, and the job script as each task."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import gumbelzoo
import pytest
from gumbelzoo.train import main

BLOCKS = re.findall(r"```bash\n(.*?)```", (Path(gumbelzoo.__file__).parent / "docs/large.md").read_text(), re.DOTALL)
SPLIT, AGAIN, ARRAY, COMPARE, SWEEP = BLOCKS
QUICK = ["--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false", "--trainer.check_val_every_n_epoch=1"]
SHIM = '#!/bin/sh\nprintf "%s\\n" "$@" > command\n'


def commands(block: str) -> list[list[str]]:
    return [shlex.split(line)[1:] for line in block.replace("\\\n", "").splitlines()]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_split_prior_is_released(workspace: Path) -> None:
    """Two processes, as a shell starts them; it goes on, and one file comes out."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    for command in [*commands(SPLIT), *commands(AGAIN)]:
        epochs = ["--trainer.max_epochs=2" if "--ckpt_path" in command else "--trainer.max_epochs=1"]
        options = [*QUICK, *epochs] if command[0] == "fit" else []
        call = [sys.executable, "-m", "gumbelzoo.train", *command, *options]
        done = subprocess.run(call, env=environment, capture_output=True, text=True, timeout=400)
        assert done.returncode == 0, f"{command}: {done.stderr}"
    model = gumbelzoo.load("checkpoints/digits-prior")
    assert model.sample(2).shape == (2, 1, 8, 8)


def test_tasks_of_an_array_are_a_grid(workspace: Path) -> None:
    """Each task has a point and a run of its own; these are compared."""
    Path("job.sh").write_text(ARRAY)
    Path("srun").write_text(SHIM)
    Path("srun").chmod(0o755)
    path = f"{workspace}:{os.environ['PATH']}"  # Lightning warns of an srun on its own
    points = []
    for task in range(6):
        environment = {**os.environ, "PATH": path, "SLURM_ARRAY_TASK_ID": str(task)}
        subprocess.run(["bash", "job.sh"], env=environment, check=True)
        program, *command = Path("command").read_text().splitlines()
        assert program == "gumbelzoo"
        points.append(command)
    assert len({command[-1] for command in points}) == 6
    short = [*QUICK, "--trainer.max_steps=2", "--trainer.limit_val_batches=1", "--trainer.val_check_interval=2"]
    for command in (points[0], points[5]):
        assert main([*command, *short]) == 0
    assert sorted(run.name for run in Path("runs/catvae_digits").iterdir()) == ["rate=2e-3,seed=2", "rate=5e-4,seed=0"]
    assert main(commands(COMPARE)[0]) == 0
    assert Path("compared.png").is_file()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_sweep_of_the_page_runs(workspace: Path) -> None:
    (command,) = commands(SWEEP)
    short = ["--trainer.max_epochs=1", "--trainer.accelerator=cpu", "--trainer.limit_train_batches=2"]
    assert main([*command[:3], "2", *command[4:], *short]) == 0
