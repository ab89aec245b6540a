"""Callbacks of training and test: averaged weights, checkpoints, pictures, progress, logs, image metrics and more."""

from .averaged_weights import AveragedWeights
from .checkpoints import AtomicCheckpointIO, BestCheckpoint, LastCheckpoint
from .figures import Figures
from .image_metrics import ImageMetrics
from .loggers import run_loggers
from .nan_guard import NanGuard, TrainingDiverged
from .progress import ProgressBar
from .random_state import RandomState
from .temperature import TemperatureCallback

__all__ = [
    "AtomicCheckpointIO",
    "AveragedWeights",
    "BestCheckpoint",
    "Figures",
    "ImageMetrics",
    "LastCheckpoint",
    "NanGuard",
    "ProgressBar",
    "RandomState",
    "TemperatureCallback",
    "TrainingDiverged",
    "run_loggers",
]
