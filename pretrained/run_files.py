"""Files of a run folder, by name; torch is not imported."""

from __future__ import annotations

from pathlib import Path

CONFIG = "config.yaml"
METRICS = "metrics.csv"
FIT = "fit.json"
TEST = "test.json"
LOCK = "lock"
DATA = "data.npz"  # arrays that were given in memory
DATA_RECORD = "data.json"  # of a user's own data: rows, checksums and classes
SLURM_JOB = "slurm_job"  # id of the job that trains the run
BEGUN = (CONFIG, DATA, DATA_RECORD, SLURM_JOB)  # of a run before its training
CHECKPOINTS = ("best", "last")
SHARDS = "shards"  # key of a checkpoint that is split over processes: name of the folder with the parts


def checkpoint_path(run: Path, name: str) -> Path:
    """Return the path of ``best.ckpt`` or ``last.ckpt``."""
    return run / "checkpoints" / f"{name}.ckpt"


def was_trained(folder: Path) -> bool:
    """Return True for a folder whose ``config.yaml`` was written by ``fit``: its other files lie beside it."""
    files = [folder / METRICS, folder / FIT, folder / LOCK, *(checkpoint_path(folder, name) for name in CHECKPOINTS)]
    return (folder / CONFIG).is_file() and any(file.is_file() for file in files)
