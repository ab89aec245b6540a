"""No test here downloads, or sees a user's folders, unless it is marked real_data."""

import os
from pathlib import Path

import pytest

REAL = os.environ.get("GUMBELZOO_DATA")


@pytest.fixture(autouse=True)
def no_user_folders(tmp_path, monkeypatch):
    def refused(url, *args, **kwargs):
        raise OSError("no downloads in tests")

    monkeypatch.delenv("GUMBELZOO_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("torchvision.datasets.utils.download_url", refused)


@pytest.fixture
def real():
    """Finds a file or folder of the real data, or skips with the reason."""

    def find(name):
        if REAL is None or not (Path(REAL) / name).exists():
            pytest.skip(f"GUMBELZOO_DATA has no {name}")
        return REAL

    return find
