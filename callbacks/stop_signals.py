"""Ctrl-C, SIGTERM and the requeue signal of SLURM: all processes of a run stop after the same batch."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from typing import Any

import torch
import torch.distributed as dist
from lightning.fabric.plugins.environments import SLURMEnvironment
from lightning.pytorch import Trainer
from lightning.pytorch.utilities.exceptions import SIGTERMException

from .slurm import job_id


class StopSignals:
    """Handlers that only note a signal; ``asked`` tells every process of it, and ``stop`` ends the training loops.

    Lightning's handlers write checkpoints and broadcast within the signal. In the middle of a step that blocks the
    other processes, which are in another collective operation.

    A second Ctrl-C raises KeyboardInterrupt at once.
    """

    def __init__(self) -> None:
        self._noted = 0  # signal that this process received
        self._agreed = 0  # signal that the run stops for
        self._handlers: dict[int, Any] = {}  # those before ours

    def install(self, trainer: Trainer) -> None:
        """Replace the handlers, Lightning's included; nothing outside of the main thread."""
        self._noted = self._agreed = 0
        if threading.current_thread() is not threading.main_thread():
            return
        trainer._signal_connector.register_signal_handlers = lambda: None  # type: ignore[method-assign]
        numbers = [signal.SIGINT, signal.SIGTERM]
        if requeue := _requeue_signal(trainer):
            numbers.append(requeue)
        self._handlers = {number: signal.signal(number, self._note) for number in numbers}

    def restore(self) -> None:
        """Put the former handlers back."""
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers = {}

    def asked(self, trainer: Trainer) -> bool:
        """Return True in every process once one of them has received a signal; every process calls it."""
        number = self._noted
        if trainer.world_size > 1:
            noted = torch.tensor(number, device=trainer.strategy.root_device)
            dist.all_reduce(noted, dist.ReduceOp.MAX)
            number = int(noted)
        self._agreed = self._agreed or number
        return self._agreed != 0

    def stop(self, trainer: Trainer) -> None:
        """End the loops of all processes once this batch has been logged; ask SLURM to queue the job again."""
        if trainer.is_global_zero and not trainer.received_sigterm and self._agreed == _requeue_signal(trainer):
            _requeue()
        trainer._signal_connector.received_sigterm = True

    def set_exit_code(self, trainer: Trainer, exception: BaseException) -> None:
        """Give the exception that ends the loops the code 130 (Ctrl-C), 143 (SIGTERM) or 128 plus the signal.

        It is 0 in all processes but the first: a launcher takes another code for a failure, and kills the others.
        """
        if isinstance(exception, SIGTERMException) and self._agreed:
            exception.code = 128 + self._agreed if trainer.is_global_zero else 0

    def _note(self, number: int, frame: Any) -> None:
        if number == self._noted == signal.SIGINT:
            raise KeyboardInterrupt
        self._noted = number


def _requeue_signal(trainer: Trainer) -> signal.Signals | None:
    """Signal after which a job is to be queued again; None outside of SLURM, and where that is switched off."""
    environment = trainer._accelerator_connector.cluster_environment
    return (
        environment.requeue_signal if isinstance(environment, SLURMEnvironment) and environment.auto_requeue else None
    )


def _requeue() -> None:
    """Queue the job again; SLURM ends what is left of it."""
    command = ["scontrol", "requeue", job_id()]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        reason = getattr(error, "stderr", "") or error
        print(f"the job is not queued again: {' '.join(command)}: {str(reason).strip()}", file=sys.stderr)
