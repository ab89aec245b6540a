"""Callbacks of training: checkpoints, random state, pictures, progress bar, logs, and the NaN guard."""

from .checkpoints import AtomicCheckpointIO, LastCheckpoint
from .figures import Figures
from .loggers import run_loggers
from .nan_guard import NanGuard, TrainingDiverged
from .progress import ProgressBar
from .random_state import RandomState

__all__ = [
    "AtomicCheckpointIO",
    "Figures",
    "LastCheckpoint",
    "NanGuard",
    "ProgressBar",
    "RandomState",
    "TrainingDiverged",
    "run_loggers",
]
