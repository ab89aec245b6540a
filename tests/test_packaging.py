"""The wheel holds what the tree holds, works from another folder, and is described as a package index wants it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import gumbelzoo
import pytest
import yaml
from gumbelzoo.tests.building import copy_tree, run, tracked
from gumbelzoo.train import COMMANDS

ROOT = Path(gumbelzoo.__file__).parent
PACKAGES = ("callbacks", "checkpoints", "commands", "configs", "data", "evaluation", "explore", "models", "pretrained")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source = copy_tree(tmp_path_factory.mktemp("source"))
    target = tmp_path_factory.mktemp("wheel")
    command = ["pip", "wheel", "--quiet", "--no-build-isolation", "--no-deps", "--wheel-dir", str(target), str(source)]
    run(*command, folder=target)
    (built,) = target.glob("*.whl")
    return built


def belongs(path: str) -> bool:
    folder, _, name = path.partition("/")
    return (path.endswith((".py", "py.typed")) and not name and path != "setup.py") or folder in PACKAGES


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


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as content:
        (name,) = [name for name in content.namelist() if name.endswith(".dist-info/METADATA")]
        return message_from_bytes(content.read(name))


def addresses(metadata: Message) -> dict[str, str]:
    return dict(line.split(", ") for line in metadata.get_all("Project-URL", []))


def test_description_has_no_relative_link(metadata: Message) -> None:
    """The package index has the README alone; its pictures and pages are in the repository, at this version."""
    text, repository = metadata.get_payload(), addresses(metadata)["Repository"]
    assert isinstance(text, str) and metadata["Description-Content-Type"] == "text/markdown"
    links = re.findall(r"(!?)\[[^\]]*\]\(([^)]*)\)", text)
    assert links and "!" in dict(links)
    for mark, link in links:
        assert link.startswith("https://")
        home, path = link[: len(repository)], link[len(repository) :].split("/", 3)
        if home == repository:
            assert path[1:3] == ["raw" if mark else "blob", f"v{gumbelzoo.__version__}"]
            assert (ROOT / path[3]).exists()


def test_classifiers_say_what_was_run(metadata: Message) -> None:
    said = metadata.get_all("Classifier", [])
    assert [line.rpartition(" ")[2] for line in said if "Python ::" in line] == ["3.11"]
    assert [line for line in said if "Operating System" in line] == ["Operating System :: POSIX :: Linux"]
    found = addresses(metadata)
    assert {"Repository", "Changelog", "Issues"} <= set(found)
    assert all(address.startswith(found["Repository"]) for address in found.values())


def test_package_import_is_without_torch() -> None:
    check = "import sys, gumbelzoo; assert 'torch' not in sys.modules; assert 'load' in dir(gumbelzoo)"
    subprocess.run([sys.executable, "-c", check], check=True)


def test_version_is_that_of_the_metadata() -> None:
    from importlib.metadata import version

    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert version("gumbelzoo") == gumbelzoo.__version__ == PROJECT["version"] == citation["version"]
    assert citation["license"] == PROJECT["license"] and citation["cff-version"] == "1.2.0"


def test_tag_of_a_release_is_the_version(tmp_path: Path) -> None:
    """The step of the workflow, as its machine runs it."""
    workflow = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text(encoding="utf-8"))
    (check,) = [step["run"] for step in workflow["jobs"]["build"]["steps"] if "version" in step.get("name", "")]
    python = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    for tag, right in ((f"v{gumbelzoo.__version__}", True), (gumbelzoo.__version__, False), ("v9.9.9", False)):
        environment = python | {"GITHUB_REF_NAME": tag}
        done = subprocess.run(["bash", "-e", "-c", check], cwd=ROOT, env=environment, capture_output=True)
        assert (done.returncode == 0) == right, done.stderr
    assert workflow["jobs"]["publish"]["permissions"] == {"id-token": "write"}  # no stored token


def test_public_names_are_promised() -> None:
    page = (ROOT / "docs/stability.md").read_text(encoding="utf-8")
    assert [name for name in [*gumbelzoo.__all__, *COMMANDS] if f"`{name}`" not in page.replace("gumbelzoo.", "")] == []


def test_unknown_attribute_raises() -> None:
    with pytest.raises(AttributeError, match="lod"):
        gumbelzoo.lod  # noqa: B018
