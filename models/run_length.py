"""Length of a run, for what falls to 0 at its end."""

from __future__ import annotations

import math

from lightning.pytorch import Trainer


def run_length(trainer: Trainer) -> float:
    """Return the optimizer steps of a whole run; infinite without an end, or for data whose length is not known."""
    total = trainer.estimated_stepping_batches
    return math.inf if total < 0 else float(total)  # Lightning says -1 of a stream without max_steps
