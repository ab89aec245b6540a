"""What happens around training: checkpoints, random state, pictures, the progress bar, logs, and the NaN guard."""

from .checkpoints import LastCheckpoint, WholeCheckpoints
from .figures import Figures
from .loggers import run_loggers
from .nan_guard import NanGuard, TrainingDiverged
from .progress import ProgressBar
from .random_state import RandomState

__all__ = [
    "Figures",
    "LastCheckpoint",
    "NanGuard",
    "ProgressBar",
    "RandomState",
    "TrainingDiverged",
    "WholeCheckpoints",
    "run_loggers",
]
