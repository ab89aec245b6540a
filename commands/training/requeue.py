"""Jobs that SLURM queues again: the same command goes on with the run that it began.

A run records its job in ``slurm_job``. A job script may train several runs, so job and configuration are compared.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from jsonargparse import Namespace

from ...callbacks.slurm import is_requeued, job_id
from ...pretrained.run_files import CONFIG, SLURM_JOB, checkpoint_path
from ..run_folders import runs
from ..run_folders.lock import RunLock
from .processes import is_first


def record_job(run: Path) -> None:
    """Write the job of this process to a run; outside of SLURM, forget an earlier one."""
    if job := job_id():
        runs.write_text(run / SLURM_JOB, job)
    else:
        (run / SLURM_JOB).unlink(missing_ok=True)


def checkpoint_of_this_job(parent: Path, options: Namespace, config: str) -> str | None:
    """Return last.ckpt, else best.ckpt, of the run that this job began before it was queued again.

    None if there is no such run, or if the command names a checkpoint. A run without a checkpoint is removed: the job
    begins it again.

    Args:
        parent: folder of all runs of the configuration.
        options: of ``fit``: a named run is looked for by its name, another one among the numbers.
        config: content of ``config.yaml``.

    Raises:
        ValueError: another process trains a run that would be removed.
    """
    if not is_requeued() or options.ckpt_path not in (None, "last"):
        return None
    name = options.name
    found = [path.parent for path in parent.glob(f"*/{SLURM_JOB}")]
    found = [run for run in found if (run.name.isdecimal() if name is None else run.name == name)]
    own = [run for run in found if _text(run / SLURM_JOB) == job_id() and _text(run / CONFIG) == config]
    for run in sorted(own, key=lambda run: (len(run.name), run.name), reverse=True):
        for kind in ("last", "best"):
            if checkpoint_path(run, kind).is_file():
                return str(checkpoint_path(run, kind))
        if is_first():
            _remove(run)
    return None


def _remove(run: Path) -> None:
    lock = RunLock()
    lock.acquire(run)
    shutil.rmtree(run, ignore_errors=True)
    lock.release()


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""
