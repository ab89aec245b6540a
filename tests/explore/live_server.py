"""Serve the live pages of several models from one process: ``python live_server.py ASKED NAME:PORT ...``.

Addresses elsewhere that the process connects to are written to the file ``ASKED``.
"""

from __future__ import annotations

import sys
from pathlib import Path
from threading import Thread
from typing import Any


def watch(asked: Path) -> None:
    """Write down every connection that does not stay on this machine."""

    def audit(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "socket.connect" and isinstance(arguments[1], tuple) and arguments[1][0] != "127.0.0.1":
            with asked.open("a") as file:
                print(arguments[1], file=file)
        if event == "socket.getaddrinfo" and arguments[0] not in (None, "127.0.0.1", "localhost", b"127.0.0.1"):
            with asked.open("a") as file:
                print(arguments[0], file=file)

    sys.addaudithook(audit)


if __name__ == "__main__":
    watch(Path(sys.argv[1]))
    from gumbelzoo.explore.live.server import application, listen, run

    pages = [page.rpartition(":") for page in sys.argv[2:]]
    applications = [application(name) for name, _, _ in pages]
    threads = [
        Thread(target=run, args=(app, listen(int(port)))) for app, (_, _, port) in zip(applications, pages, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
