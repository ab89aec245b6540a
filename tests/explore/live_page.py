"""The live pages of some models, and what a user does on one."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

PATIENCE = 120_000  # milliseconds that a page may take on a busy machine


@contextmanager
def served(names: Sequence[str], asked: Path) -> Iterator[dict[str, str]]:
    """Serve the pages of models from one process; gives their addresses by name."""
    with ExitStack() as taken:
        listeners = [taken.enter_context(socket.socket()) for _ in names]
        for listener in listeners:
            listener.bind(("127.0.0.1", 0))
        ports = [listener.getsockname()[1] for listener in listeners]
    pages = [f"{name}:{port}" for name, port in zip(names, ports, strict=True)]
    with subprocess.Popen([sys.executable, str(Path(__file__).with_name("live_server.py")), str(asked), *pages]) as run:
        try:
            wait_for(run, ports)
            yield {name: f"http://127.0.0.1:{port}/" for name, port in zip(names, ports, strict=True)}
        finally:
            run.kill()


def wait_for(run: subprocess.Popen[bytes], ports: Sequence[int]) -> None:
    """Wait until all of these ports are listened at."""
    end = time.monotonic() + 300
    for port in ports:
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            if run.poll() is not None or time.monotonic() > end:
                pytest.fail("the page was not served")
            time.sleep(0.2)


def opened(visit: Callable[..., Any], address: str, **options: Any) -> Any:
    """Open a page with patience."""
    page = visit(address, **options)
    page.set_default_timeout(PATIENCE)
    return page


def output(page: Any, name: str) -> Any:
    """Place where a section shows something, once it does."""
    place = page.locator(f"#gz-{name}")
    place.locator("[id^=html-] *").first.wait_for(state="attached")
    return place


def content(place: Any) -> str:
    """Text and pictures of a place, without the marks of a computation that runs."""
    found: str = place.locator("[id^=html-]").first.inner_html()
    return found


def changes(page: Any, action: Callable[[], object], *names: str) -> None:
    """Act, and wait until each of some places shows something else."""
    before = {name: content(output(page, name)) for name in names}
    action()
    for name, old in before.items():
        page.wait_for_function(
            "([id, old]) => document.querySelector(`#gz-${id} [id^=html-]`).innerHTML !== old",
            arg=[name, old],
        )


def number(page: Any, label: str) -> Any:
    """Field of a slider's number, in the tab that is shown."""
    return page.get_by_label(f"number input for {label}", exact=True).locator("visible=true")


def tab(page: Any, name: str) -> None:
    """Open a tab."""
    page.get_by_role("tab", name=name, exact=True).click()


def enter(page: Any, label: str, value: float | int) -> None:
    """Set a slider by its number, with the keyboard."""
    field = number(page, label)
    field.fill(str(value))
    field.press("Tab")


def choose(page: Any, label: str, option: str) -> None:
    """Choose an option of a list."""
    page.get_by_label(label, exact=True).locator("visible=true").click()
    page.get_by_role("option", name=option, exact=True).click()


def stroke(page: Any, canvas: Any) -> None:
    """Draw a line from the top of a canvas to its bottom."""
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 10)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] - 10, steps=5)
    page.mouse.up()
