"""SLURM jobs, as the environment of their processes describes them."""

from __future__ import annotations

import os


def job_id() -> str:
    """Return the id of this job, ``12`` or ``12_3`` for a task of an array; empty outside of SLURM.

    It is what ``scontrol`` takes, and the same after a requeue.
    """
    array, task = (os.environ.get(f"SLURM_ARRAY_{name}") for name in ("JOB_ID", "TASK_ID"))
    return f"{array}_{task}" if array and task else os.environ.get("SLURM_JOB_ID", "")


def is_requeued() -> bool:
    """Return True if SLURM has started this job before."""
    return os.environ.get("SLURM_RESTART_COUNT", "0").strip("0") != ""
