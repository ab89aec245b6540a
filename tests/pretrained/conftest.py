"""A hub on this machine."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from gumbelzoo.tests.pretrained.hub_server import Hub


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """The running stand-in; downloads go into a cache of the test."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    # what HF_HUB_DISABLE_XET=1 does: uploads are plain HTTP, which the stand-in speaks
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    running = Hub()
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    yield running
    running.shutdown()
    running.server_close()
    thread.join()
