"""What Lightning says by itself: only what applies to the zoo, and reports that an option asks for."""

from __future__ import annotations

import logging
import os
import warnings

# Lightning's remarks that an option asks for.
REPORTS = ("lightning.pytorch.profilers.profiler", "lightning.pytorch.callbacks.model_summary")
# Warnings that do not apply here.
IGNORED_WARNINGS = (
    ".*smaller than the logging interval.*",  # the interval counts across epochs
    ".*isinstance.treespec, LeafSpec.* is deprecated.*",
    ".*Checkpoint directory .* exists and is not empty.*",  # a resumed run writes to its own folder
    ".*module.s. in eval mode at the start of training.*",  # a frozen part of a model is
    "Grad strides do not match bucket view strides.*",  # convolutions are channels_last, their weights are not
    ".*callbacks used to create the checkpoint need to be provided.*",  # a test does not need those of the fit
)


def quiet_lightning() -> None:
    """Silence Lightning's remarks on hardware, seeds and its other products; reports that were asked for stay."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in REPORTS:
        logging.getLogger(name).setLevel(logging.INFO)
    os.environ.setdefault("JSONARGPARSE_DEPRECATION_WARNINGS", "off")  # about calls that Lightning makes
    for message in IGNORED_WARNINGS:
        warnings.filterwarnings("ignore", message=message)
