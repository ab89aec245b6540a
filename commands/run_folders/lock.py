"""Lock of a folder: one process at a time trains a run, or writes codes."""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from ...pretrained.run_files import LOCK

try:
    import fcntl
except ImportError:  # Windows: runs are not locked there
    fcntl = None  # type: ignore[assignment]


class RunLock:
    """File ``lock`` in the folder of a run or of codes, locked by the operating system and removed at the end.

    The system drops the lock of a process that was killed, on any machine. The file says who holds it.
    """

    def __init__(self) -> None:
        self._path: Path | None = None
        self._file: TextIO | None = None

    def acquire(self, run: Path) -> None:
        """Take the lock.

        Raises:
            ValueError: another process has it; the error names the process and its machine.
        """
        if fcntl is None:
            return
        path = run / LOCK
        while self._file is None:
            file = path.open("a+", encoding="utf-8")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                with file:
                    _check_ended(file, run)
                path.unlink(missing_ok=True)  # children of a killed process keep its lock for some seconds
                continue
            except OSError:  # a file system without locks
                file.close()
                return
            # The holder may have removed the file between opening and locking it.
            if _is_at(file, path):
                file.truncate(0)
                file.write(f"{os.getpid()} {platform.node()}")
                file.flush()
                self._path, self._file = path, file
            else:
                file.close()

    def release(self) -> None:
        """Remove the lock, if it is held."""
        if self._file is not None and self._path is not None:
            if _is_at(self._file, self._path):
                self._path.unlink()
            self._file.close()
            self._file = None


def is_held(run: Path) -> bool:
    """Return True if a process trains the run; nothing is changed."""
    path = run / LOCK
    if fcntl is None or not path.is_file():
        return False
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            with suppress(ValueError):  # another process may have the holder's number by now: ask for the lock
                _check_ended(file, run)
                return False
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:  # it ended just now
        return False
    except OSError:
        return True
    return False


def _is_at(file: TextIO, path: Path) -> bool:
    """True if the open file is the one at ``path``."""
    return path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat())


def _check_ended(file: TextIO, run: Path) -> None:
    """Raise ValueError unless the holder that a locked file names has ended on this machine."""
    file.seek(0)
    pid, _, host = file.read(1000).partition(" ")
    if pid.isdecimal() and host == platform.node():
        with suppress(PermissionError):
            try:
                os.kill(int(pid), 0)
            except (ProcessLookupError, OverflowError):
                return
    raise ValueError(f"{run} is in use by process {pid or 'unknown'} on {host or 'another machine'}; wait for its end")
