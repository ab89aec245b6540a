"""Watch over the process that started this one. Imports nothing, so that it begins before torch is imported."""

from __future__ import annotations

import os
import threading
import time

FIRST = "GUMBELZOO_FIRST_PROCESS"  # set for the processes that the first one starts: its id
SECONDS = 5.0  # for a process to end by itself


def watch_first_process() -> None:
    """End this process if the one that started it ends first; nothing in a process that was started from outside.

    Until all processes are connected, they would wait for the first one for half an hour.
    """
    first = os.environ.get(FIRST)
    if first is not None and os.environ.get("LOCAL_RANK", "0") != "0":
        threading.Thread(target=_watch, args=[int(first)], daemon=True).start()


def _watch(first: int) -> None:
    while os.getppid() == first:
        time.sleep(0.5)
    time.sleep(SECONDS)  # a process that is in a step fails by itself, with a message
    os._exit(1)
