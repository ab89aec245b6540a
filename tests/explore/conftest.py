"""A headless Chromium for the page, and a folder of files behind ``python -m http.server``."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from gumbelzoo.tests.explore.static_pages import NAMES, READY, written

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PATIENCE = 60_000  # milliseconds until a page has done what it was asked to do


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--pictures", action="store_true", help="write the screenshots of docs/images")


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A browser; without one, or without Playwright, the test is skipped."""
    api = pytest.importorskip("playwright.sync_api", reason="browser tests need playwright: pip install playwright")
    if CHROMIUM is None:
        pytest.skip("browser tests need Chromium: apt-get install chromium")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium: Any) -> Iterator[Callable[..., Any]]:
    """Open an address; at the end no page may have had an error in its console, or asked another server for anything.

    Args: the address, and options of Playwright's ``new_context``, such as ``viewport`` and ``color_scheme``. What a
    test expects to fail is allowed by ``page.allowed.append(text)``.
    """
    with ExitStack() as opened:
        faults: list[str] = []
        allowed: list[str] = []

        def open_page(address: str, **options: Any) -> Any:
            page = chromium.new_context(**options).new_page()
            opened.callback(page.context.close)
            page.allowed = allowed
            page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
            page.on("pageerror", lambda error: faults.append(str(error)))
            page.on("request", lambda request: None if is_local(request.url) else faults.append(request.url))
            page.goto(address)
            return page

        yield open_page
    assert [fault for fault in faults if not any(text in fault for text in allowed)] == []


def is_local(address: str) -> bool:
    parts = urlsplit(address)
    return parts.scheme in ("data", "blob") or parts.hostname == "127.0.0.1"


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder as users do; gives its address."""
    command = [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout is not None
        try:
            (address,) = re.findall(r"http://[\d.:]+/", server.stdout.readline())
            yield address
        finally:
            server.terminate()


def until(page: Any, expression: str) -> None:
    """Wait until an expression is true; Playwright's own wait is eval in the page, which its policy forbids."""
    for _ in range(PATIENCE // 50):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"not true after {PATIENCE} ms: {expression}")


@pytest.fixture(scope="session")
def static_pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a folder with a page of each release."""
    root = tmp_path_factory.mktemp("pages")
    for name in NAMES:
        written(name, root / name)
    with served(root) as address:
        yield address


@pytest.fixture
def loaded(static_pages: str, visit: Callable[..., Any]) -> Callable[..., Any]:
    """Open the page of a release, and wait until it is ready."""

    def open_page(name: str = NAMES[0], **options: Any) -> Any:
        page = visit(f"{static_pages}{name}/", **options)
        until(page, READY)
        return page

    return open_page
