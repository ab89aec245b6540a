"""A run's own data are known again: it goes on with no others, and a test on others is told."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from gumbelzoo.commands.training.same_data import describe_data
from gumbelzoo.data import DATA, ImageData
from gumbelzoo.train import main
from PIL import Image

RUN = Path("runs/tiny/own")
FIT = ["fit", "--config=tiny.yaml", "--name=own", "--data.name=arrays", "--data.binarization=none"]
FIT += ["--data.batch_size=8", "--trainer.max_epochs=1"]
RESUME = ["fit", f"--ckpt_path={RUN}", "--trainer.max_epochs=2"]


def save(path: str, seed: int, number: int = 60) -> None:
    images = np.random.default_rng(seed).integers(0, 2, (number, 8, 8)).astype(np.float32)
    np.savez(path, x_train=images, y_train=np.arange(number) % 3)


@pytest.fixture
def run(workspace: Path) -> Path:
    """A run of an epoch on images.npz."""
    save("images.npz", 0)
    assert main([*FIT, "--data.path=images.npz"]) == 0
    return RUN


def test_run_goes_on_with_its_data_alone(run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Neither with another file, nor with other content of the same one; nothing of the run changes."""
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    save("other.npz", 1)
    capfd.readouterr()
    for changed in ([], ["--data.path=other.npz"]):
        if not changed:
            shutil.move("images.npz", "kept.npz")
            save("images.npz", 0, number=500)
        assert main([*RESUME, *changed]) == 2
        error = capfd.readouterr().err
        assert f"{run} was begun with other data (train of images.npz: 49 rows with the SHA-256 " in error
        assert "give --data.path those it was begun with" in error and len(error.splitlines()) == 1
        assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
    assert main([*RESUME, "--data.path=kept.npz"]) == 0


def test_test_on_other_data_is_told(run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["test", str(run)]) == 0
    assert "other data" not in capfd.readouterr().err
    save("images.npz", 1)
    assert main(["test", str(run)]) == 0
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith(f"other data than {run} was trained on (train of images.npz: 49 rows with the SHA-256 ")


def test_run_finds_its_data_from_any_folder(
    run: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (workspace / "other").mkdir()
    monkeypatch.chdir(workspace / "other")
    save("images.npz", 1)
    assert main(["test", str(workspace / run)]) == 0
    assert "other data" not in capfd.readouterr().err


def test_run_without_a_record_goes_on(run: Path) -> None:
    """One of an earlier version, whose paths are relative as well."""
    (run / "data.json").unlink()
    content = yaml.safe_load((run / "config.yaml").read_text())
    content["data"]["init_args"]["path"] = "images.npz"
    (run / "config.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    assert main(["test", str(run)]) == 0 and not (run / "data.json").exists()
    assert main(RESUME) == 0 and (run / "data.json").exists()


def test_damaged_record_is_named(run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (run / "data.json").write_text("[]")
    assert main(RESUME) == 2
    assert f"{run}/data.json: it must hold one JSON object; remove it if" in capfd.readouterr().err


def test_names_of_classes_are_known_again(workspace: Path) -> None:
    """Their numbers follow the names, and a classifier has learned the numbers."""
    for name in ("ant", "bee"):
        for number in range(20):
            file = workspace / "insects" / name / f"{number}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((8, 8), number, np.uint8)).save(file)
    folder = {"name": "folder", "path": "insects", "size": 8, "channels": 1}
    assert describe_data(ImageData(**folder))["classes"] == "ant, bee"
    (workspace / "insects/ant").rename(workspace / "insects/wasp")
    assert describe_data(ImageData(**folder))["classes"] == "bee, wasp"


def test_only_own_data_are_described() -> None:
    """Named data sets are known by their names."""
    assert describe_data(DATA["images"](name="digits")) == describe_data(DATA["text"](name="grammar")) == {}
