"""Processes of one run, started by Lightning or from outside: none outlives the others, and one of them measures."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from jsonargparse import Namespace
from lightning.pytorch import Trainer
from lightning.pytorch.utilities.exceptions import SIGTERMException
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from .first_process import FIRST, SECONDS

CLOSED = re.compile(r"Connection (closed|reset) by peer|Broken pipe|remote process exited|communicator was aborted")


def is_first() -> bool:
    """Return True in the first process of a run, and in the only one."""
    return rank_zero_only.rank == 0  # type: ignore[attr-defined]


@contextmanager
def ending_together(trainer: Trainer) -> Iterator[None]:
    """End the processes that Lightning starts inside, at once if the first one fails.

    Raises:
        ChildProcessError: this process failed because another one had ended.
    """
    if is_first():
        os.environ[FIRST] = str(os.getpid())
    seconds = 0.0
    try:
        yield
        seconds = SECONDS
    except SIGTERMException:  # in all of them, after the same batch
        seconds = SECONDS
        raise
    except RuntimeError as error:
        if trainer.world_size > 1 and CLOSED.search(str(error)):
            raise ChildProcessError("another process of this run has ended") from error
        raise
    finally:
        os.environ.pop(FIRST, None)
        for process in getattr(trainer.strategy.launcher, "procs", []):
            try:
                process.wait(seconds)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def measure_in_one_process(trainer: Namespace) -> None:
    """Set the options that make ``validate`` and ``test`` measure in one process; the others of a launcher end.

    Several processes would draw other samples than one, and their figures would not repeat those of a release.

    Args:
        trainer: the Trainer's arguments as parsed.
    """
    if not is_first():
        raise SystemExit(0)
    devices = trainer.devices
    if isinstance(devices, str) and "," in devices:
        devices = [int(index) for index in devices.split(",") if index.strip()]
    many = len(devices) > 1 if isinstance(devices, list) else str(devices) not in ("None", "auto", "0", "1")
    if many or trainer.num_nodes > 1:
        print("one process measures, so that the figures do not depend on the number of processes", file=sys.stderr)
    if str(devices) != "0":
        trainer.devices = devices[:1] if isinstance(devices, list) else 1
    trainer.num_nodes = 1
    if str(trainer.strategy).startswith(("ddp", "model_parallel")):
        trainer.strategy = "auto"
