"""The wheel holds what the tree holds, and works from another folder; ``import gumbelzoo`` alone is quick."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import gumbelzoo
import pytest

ROOT = Path(gumbelzoo.__file__).parent
PACKAGES = ("callbacks", "checkpoints", "commands", "configs", "data", "evaluation", "models")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy of the tracked files: setuptools leaves its scratch folders in the source."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for path in tracked():
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        (source / path).write_bytes((ROOT / path).read_bytes())
    command = ["pip", "wheel", "--quiet", "--no-build-isolation", "--no-deps", "--wheel-dir", str(target), str(source)]
    run(*command, folder=target)
    (built,) = target.glob("*.whl")
    return built


def run(*arguments: str, folder: Path, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def tracked() -> list[str]:
    """Files of the tree; in a checkout those that git knows or would add."""
    if not (ROOT / ".git").exists():
        pytest.skip("needs a checkout")
    listing = ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(listing, capture_output=True, text=True, check=True)
    return [path for path in done.stdout.splitlines() if (ROOT / path).is_file()]


def belongs(path: str) -> bool:
    folder, _, name = path.partition("/")
    return (path.endswith(".py") and not name) or folder in PACKAGES


def test_the_wheel_holds_what_the_tree_holds(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as content:
        packed = {name.partition("/")[2] for name in content.namelist() if name.startswith("gumbelzoo/")}
    assert packed == {path for path in tracked() if belongs(path)}


def test_the_wheel_works_from_another_folder(wheel: Path, tmp_path: Path) -> None:
    site, elsewhere = tmp_path / "site", tmp_path / "elsewhere"
    elsewhere.mkdir()
    run("pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(site), str(wheel), folder=elsewhere)
    where = "import gumbelzoo; print(gumbelzoo.__file__); print(gumbelzoo.list_models())"
    command = [sys.executable, "-c", where]
    environment = {**os.environ, "PYTHONPATH": str(site)}
    done = subprocess.run(command, cwd=elsewhere, env=environment, capture_output=True, text=True)
    assert str(site) in done.stdout, done.stderr
    assert "categorical_vae" in done.stdout
    assert "catvae_digits" in run("gumbelzoo.train", "list", folder=elsewhere, PYTHONPATH=str(site))


def test_importing_the_package_imports_no_torch() -> None:
    check = "import sys, gumbelzoo; assert 'torch' not in sys.modules; assert 'load' in dir(gumbelzoo)"
    subprocess.run([sys.executable, "-c", check], check=True)


def test_the_version_is_one() -> None:
    from importlib.metadata import version

    assert version("gumbelzoo") == gumbelzoo.__version__


def test_unknown_attributes_are_said_so() -> None:
    with pytest.raises(AttributeError, match="lod"):
        gumbelzoo.lod  # noqa: B018
