"""Commands run side by side: a number of them at a time, all of them stopped with their parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO, Any

MAX_JOBS = 64
PAUSE = 0.1  # seconds between two looks at the jobs
PATIENCE = 15.0  # seconds in which a job may save its run once the parent is asked to end
TAIL = 1 << 16  # bytes of a job's output that are looked at


class Terminated(SystemExit):
    """The process was asked to end, by SIGTERM or by a terminal that closes."""


@dataclass
class Job:
    """A running command.

    Attributes:
        number: in the list of commands.
        process: leader of a process group of its own, so that Ctrl-C reaches it once and by its parent.
        output: what it prints.
        started: in seconds of the monotonic clock.
    """

    number: int
    process: subprocess.Popen[bytes]
    output: IO[bytes]
    started: float

    @property
    def minutes(self) -> float:
        """Time since the start."""
        return (time.monotonic() - self.started) / 60

    def last_line(self) -> str:
        """Return the last line that it printed: of a command of ours that fails, what is wrong."""
        self.output.seek(max(0, self.output.seek(0, os.SEEK_END) - TAIL))
        lines = self.output.read().decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "no output")

    def signal(self, number: int) -> None:
        """Send a signal to the command and the processes that it started."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)


def launcher() -> list[str]:
    """Return the words that start this program again, such as ``python train.py``, as the user did."""
    given = len(sys.argv) - 1
    if sys.argv[1:2] == ["sweep"] and sys.orig_argv[-given:] == sys.argv[1:]:
        return [sys.executable, *sys.orig_argv[1:-given]]
    return [sys.executable, "-m", "gumbelzoo"]


def run_jobs(commands: Sequence[Sequence[str]], jobs: int, on_end: Callable[[Job], None]) -> None:
    """Run all commands, so many at a time, and report each at its end.

    On Ctrl-C each running command gets one as well, and is waited for; after a second one all are killed. On SIGTERM
    they get that, and are killed after ``PATIENCE``.

    Args:
        commands: words of each.
        jobs: number at a time.
        on_end: called with each job that has ended; its exit code is ``process.returncode``.

    Raises:
        KeyboardInterrupt: on Ctrl-C.
        Terminated: on SIGTERM.
    """
    waiting = deque(enumerate(commands))
    running: list[Job] = []
    threads = max(1, (os.cpu_count() or 1) // jobs)
    environment = {"OMP_NUM_THREADS": str(threads), **os.environ} if jobs > 1 else None
    with _ends_on_signals():
        try:
            while waiting or running:
                while waiting and len(running) < jobs:
                    running.append(_start(*waiting.popleft(), environment))
                time.sleep(PAUSE)
                for job in [job for job in running if job.process.poll() is not None]:
                    running.remove(job)
                    on_end(job)
                    job.output.close()
        except BaseException as error:
            _stop(running, signal.SIGINT if isinstance(error, KeyboardInterrupt) else signal.SIGTERM)
            raise


def _start(number: int, command: Sequence[str], environment: dict[str, str] | None) -> Job:
    output = tempfile.TemporaryFile()  # noqa: SIM115 # open until the job has ended
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=environment, process_group=0
    )
    return Job(number, process, output, time.monotonic())


def _stop(running: Sequence[Job], number: int) -> None:
    """Stop jobs, and wait until they have saved their runs."""
    if not running:
        return
    remark = "; Ctrl-C again kills them" if number == signal.SIGINT else ""
    print(f"stopping {len(running)} runs, which save their state{remark}", file=sys.stderr, flush=True)
    try:
        for job in running:
            job.signal(number)
        deadline = time.monotonic() + PATIENCE
        for job in running:
            job.process.wait(None if number == signal.SIGINT else max(0.0, deadline - time.monotonic()))
    except (KeyboardInterrupt, Terminated, subprocess.TimeoutExpired):
        pass
    finally:
        for job in running:
            job.signal(signal.SIGKILL)
            job.process.wait()
            job.output.close()


@contextmanager
def _ends_on_signals() -> Iterator[None]:
    """Raise Terminated on SIGTERM, and when the terminal closes."""

    def end(number: int, frame: Any) -> None:
        raise Terminated(128 + number)

    handlers = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
