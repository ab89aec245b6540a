"""metrics.csv is whole and true, whatever stopped the run that wrote it."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from gumbelzoo.callbacks import AtomicCheckpointIO
from gumbelzoo.callbacks.curves import save_curves
from gumbelzoo.callbacks.metrics_file import RunCSV, read_metrics, rows_before


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let no file grow beyond a size, as a full disk does."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize(
    "tail", ["2", "2,", "\n", ",", "1.5,2,7", "1.5,2,7.0", "\0\0\0\0", "a,2,\n", "1,1e3,\n", "1,2,3,4\n"]
)
def test_partial_row_is_dropped(tail: str, tmp_path: Path) -> None:
    """A number without the end of its line may lack digits."""
    path = tmp_path / "metrics.csv"
    path.write_text(f"train/loss,step,val/elbo\n3.0,0,\n2.0,1,5.0\n{tail}")
    assert read_metrics(path) == {"train/loss": [(0, 3.0), (1, 2.0)], "val/elbo": [(1, 5.0)]}
    RunCSV(tmp_path, rows=1).log_metrics({"train/loss": 7.0}, 1)
    assert path.read_text().split() == ["train/loss,step,val/elbo", "3.0,0,", "7.0,1,"]
    assert [file.name for file in tmp_path.iterdir()] == ["metrics.csv"]


def test_log_is_resumed_at_the_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    first = RunCSV(tmp_path)
    for step in range(4):
        first.log_metrics({"train/loss": float(step)}, step)
    assert first.rows_on_disk() == 4
    assert rows_before({}, 2, path) == 2  # a checkpoint of an earlier version
    assert rows_before({"metrics_rows": 3}, 2, path) == 3
    second = RunCSV(tmp_path, rows=2)
    second.log_metrics({"train/loss": 20.0, "val/elbo": 1.0}, 2)
    assert second.rows_on_disk() == 3
    assert read_metrics(path) == {"train/loss": [(0, 0.0), (1, 1.0), (2, 20.0)], "val/elbo": [(2, 1.0)]}
    save_curves(path, tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("column", ["train/loss", "val/elbo"])
def test_full_disk_leaves_the_log(column: str, tmp_path: Path) -> None:
    """A row of known columns is added to the file, one of a new column is written with the file anew."""
    path = tmp_path / "metrics.csv"
    log = RunCSV(tmp_path)
    log.log_metrics({"train/loss": 1.0}, 0)
    before = path.read_bytes()
    with largest_file(len(before) + 3), pytest.raises(OSError, match=r"metrics\.csv is not written: File too large"):
        log.log_metrics({column: 0.123456789}, 1)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["metrics.csv"]
    log.log_metrics({column: 2.0}, 1)
    assert read_metrics(path)[column][-1] == (1, 2.0)


def test_full_disk_leaves_the_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does it matter whether there is a temporary folder."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    path, store = tmp_path / "last.ckpt", AtomicCheckpointIO()
    store.save_checkpoint({"step": 1}, path)
    before = path.read_bytes()
    with largest_file(len(before)), pytest.raises(OSError, match=r"last\.ckpt is not written: File too large"):
        store.save_checkpoint({"step": list(range(1000))}, path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["last.ckpt"]
