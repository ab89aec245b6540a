"""Both files of a release: complete, taken by the package index, tested and typed where they are installed."""

from __future__ import annotations

import subprocess
import sysconfig
import tarfile
from pathlib import Path

import gumbelzoo
import pytest
from gumbelzoo.tests.building import copy_tree, run, tracked

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
INDEX_LIMIT = 100 << 20  # bytes that a file may have on the package index


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Sdist and wheel, by suffix; the wheel is built from the sdist."""
    source, target = copy_tree(tmp_path_factory.mktemp("source")), tmp_path_factory.mktemp("dist")
    run("build", "--no-isolation", "--outdir", str(target), str(source), folder=target)
    return {path.suffix: path for path in target.iterdir()}


@pytest.fixture(scope="module")
def unpacked(built: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(built[".gz"]) as content:
        content.extractall(folder, filter="data")
    return folder / f"gumbelzoo-{gumbelzoo.__version__}"


def environment_with(install: list[str], folder: Path) -> Path:
    """Python of a fresh environment with the package; what the package needs is that of this environment."""
    run("venv", "--without-pip", str(folder), folder=folder.parent)
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "needed.pth").write_text(sysconfig.get_path("purelib"))  # without the hooks of its editable installs
    python = folder / "bin" / "python"
    options = ["--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
    run("pip", "--python", str(python), "install", *options, *install, folder=folder)
    return python


def test_package_index_takes_both(built: dict[str, Path]) -> None:
    run("twine", "check", "--strict", *map(str, built.values()), folder=built[".gz"].parent)
    sizes = {path.name: path.stat().st_size for path in built.values()}
    print(sizes)
    assert max(sizes.values()) < INDEX_LIMIT / 2


def test_sdist_has_the_files_of_the_tree(unpacked: Path) -> None:
    packed = {str(path.relative_to(unpacked)) for path in unpacked.rglob("*") if path.is_file()}
    made = {path for path in packed if path.startswith("gumbelzoo.egg-info/")} | {"PKG-INFO", "setup.cfg"}
    assert packed - made == set(tracked())


SOME = (
    "test_registry.py",
    "test_readme.py",
    "pretrained/test_sources.py",
    "commands/test_cards.py",
    "models/quantizers",
)


def test_tests_of_the_sdist_pass(unpacked: Path, tmp_path: Path) -> None:
    """All are collected, some run; the package is the unpacked one."""
    python = environment_with(["--editable", str(unpacked)], tmp_path / "editable")
    for options in (["--collect-only"], [*(f"tests/{path}" for path in SOME), "-m", "not slow"]):
        done = subprocess.run(
            [python, "-E", "-m", "pytest", "-q", "-x", *options], cwd=unpacked, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    command = [python, "-E", "-c", "import gumbelzoo; print(gumbelzoo.__file__)"]
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True).stdout
    assert said.strip() == f"{unpacked}/__init__.py"


USER = """\
import gumbelzoo
from torch import Tensor

images: Tensor = gumbelzoo.load("catvae-mnist").sample(16)
reveal_type(gumbelzoo.load("catvae-mnist"))
reveal_type(gumbelzoo.from_pretrained)
gumbelzoo.load(3)
"""


def test_type_checker_sees_the_installed_types(built: dict[str, Path], unpacked: Path, tmp_path: Path) -> None:
    """Those of the wheel, and of an editable install in the mode that type checkers follow."""
    (tmp_path / "user.py").write_text(USER)
    strict = ["--editable", str(unpacked), "--config-settings", "editable_mode=strict"]
    for name, install in (("wheel", [str(built[".whl"])]), ("editable", strict)):
        python = environment_with(install, tmp_path / name)
        command = [python, "-E", "-m", "mypy", "--strict", "user.py"]
        said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True).stdout.splitlines()
        assert said[0].endswith('Revealed type is "gumbelzoo.models.base.ZooModel"')
        assert "-> gumbelzoo.models.base.ZooModel" in said[1]
        assert said[2].startswith("user.py:7: error: Argument 1 to") and said[3].startswith("Found 1 error")
