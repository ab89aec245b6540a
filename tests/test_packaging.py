"""The wheel holds what the tree holds, and works from another folder; ``import gumbelzoo`` alone is quick."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import gumbelzoo
import pytest

ROOT = Path(gumbelzoo.__file__).parent
PACKAGES = ("callbacks", "checkpoints", "commands", "configs", "data", "evaluation", "models", "pretrained")


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


def test_wheel_has_the_files_of_the_tree(wheel: Path) -> None:
    """A folder that pyproject.toml does not list is told by the line to add."""
    with zipfile.ZipFile(wheel) as content:
        packed = {name.partition("/")[2] for name in content.namelist() if name.startswith("gumbelzoo/")}
    expected = {path for path in tracked() if belongs(path)}
    folders = sorted({Path(path).parent for path in expected - packed if path.endswith(".py")})
    lines = [f'    "gumbelzoo.{folder.as_posix().replace("/", ".")}",' for folder in folders]
    assert not lines, "add to packages in pyproject.toml:\n" + "\n".join(lines)
    assert packed == expected


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the wheel is installed in, alone."""
    site = tmp_path_factory.mktemp("site")
    run("pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(site), str(wheel), folder=site)
    return site


OFFLINE = {"HF_HUB_OFFLINE": "1", "HF_ENDPOINT": "http://127.0.0.1:9", "OMP_NUM_THREADS": "1"}


def test_wheel_works_from_another_folder(installed: Path, tmp_path: Path) -> None:
    where = "import gumbelzoo; print(gumbelzoo.__file__); print(gumbelzoo.list_models())"
    environment = {**os.environ, **OFFLINE, "PYTHONPATH": str(installed)}
    done = subprocess.run([sys.executable, "-c", where], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert str(installed) in done.stdout, done.stderr
    assert "categorical_vae" in done.stdout
    listed = run("gumbelzoo.train", "list", folder=tmp_path, PYTHONPATH=str(installed), **OFFLINE)
    assert "catvae_digits" in listed
    config = json.loads((ROOT / "checkpoints/catvae-mnist/config.json").read_text())
    assert f"bound {config['test']['metrics']['test/bound']:.4f}" in listed


def test_releases_work_from_the_wheel_offline(installed: Path, tmp_path: Path) -> None:
    script = (
        "import gumbelzoo\n"
        "print(gumbelzoo.__file__)\n"
        "for name in gumbelzoo.list_pretrained():\n"
        "    model = gumbelzoo.load(name)\n"
        "    print(name, len(model.sample(16)) if hasattr(model, 'sample') else 'loaded')\n"
    )
    environment = {**os.environ, **OFFLINE, "PYTHONPATH": str(installed)}
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    home, *lines = done.stdout.splitlines()
    assert Path(home).is_relative_to(installed)
    assert "catvae-mnist 16" in lines
    assert [line.split()[0] for line in lines] == gumbelzoo.list_pretrained()


def test_package_import_is_without_torch() -> None:
    check = "import sys, gumbelzoo; assert 'torch' not in sys.modules; assert 'load' in dir(gumbelzoo)"
    subprocess.run([sys.executable, "-c", check], check=True)


def test_version_is_that_of_the_metadata() -> None:
    from importlib.metadata import version

    assert version("gumbelzoo") == gumbelzoo.__version__


def test_unknown_attribute_raises() -> None:
    with pytest.raises(AttributeError, match="lod"):
        gumbelzoo.lod  # noqa: B018
