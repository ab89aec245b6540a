"""No test here downloads, or sees a user's folders, unless it is marked real_data."""

import pytest


@pytest.fixture(autouse=True)
def no_user_folders(tmp_path, monkeypatch):
    def refused(url, *args, **kwargs):
        raise OSError("no downloads in tests")

    monkeypatch.delenv("GUMBELZOO_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("torchvision.datasets.utils.download_url", refused)
