"""Malformed release folders: each is refused in one line, soon, in little memory; nothing is executed or overwritten.

The folders are those of ``malformed.py``. One process of its own reads them all, without the type checks that other
tests run under: the package refuses them as users have it.
"""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import gumbelzoo
import pytest
from gumbelzoo.tests.pretrained.changes import MODELS, Bomb, inside, put
from gumbelzoo.tests.pretrained.malformed import CASES, CONFIG, WEIGHTS
from gumbelzoo.train import main

READER = """
import json, resource, sys, time, warnings
warnings.simplefilter("error")
import gumbelzoo

def read(folder):
    try:
        gumbelzoo.load(folder)
    except BaseException as error:
        return [type(error).__name__, str(error)]

folders, verdicts = json.load(open(sys.argv[1])), {}
read(folders.pop("first"))  # imports what is imported late
for name, folder in folders.items():
    start, memory = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    verdict = read(folder)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory
    verdicts[name] = [verdict, time.monotonic() - start, grown / 1024]
print(json.dumps(verdicts))
"""


def contents(folder: Path) -> dict[str, Any]:
    """Names, links and bytes of all files."""
    return {
        str(path.relative_to(folder)): path.readlink() if path.is_symlink() else path.is_file() and path.read_bytes()
        for path in folder.rglob("*")
    }


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Every malformed folder, with pickles among its files; and the valid ones by their model."""
    root = tmp_path_factory.mktemp("releases")
    made: dict[str, Path] = {}
    for kind, (name, arguments) in MODELS.items():
        made[kind] = gumbelzoo.save_pretrained(gumbelzoo.create_model(name, **arguments), root / kind / "release")
        for pickled in ("pytorch_model.bin", "model.pkl", "best.ckpt"):
            (made[kind] / pickled).write_bytes(pickle.dumps(Bomb()))
    for number, (name, (kind, change, _)) in enumerate(CASES.items()):
        made[name] = root / str(number) / "release"
        shutil.copytree(made[kind], made[name])
        change(made[name])
    return made


@pytest.fixture(scope="module")
def verdicts(folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """For each folder the error's type and message (None: it was loaded), seconds, megabytes."""
    elsewhere = tmp_path_factory.mktemp("reader")
    (elsewhere / "reader.py").write_text(READER)
    (elsewhere / "folders.json").write_text(
        json.dumps({"first": str(folders["vae"])} | {k: str(v) for k, v in folders.items()})
    )
    before = {name: contents(folder.parent) for name, folder in folders.items()}
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "reader.py", "folders.json"]
    done = subprocess.run(command, cwd=elsewhere, env=environment, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    after = {name: contents(folder.parent) for name, folder in folders.items()}
    unchanged = {name: before[name] == after[name] for name in folders}
    executed = [path for place in (elsewhere, folders["vae"].parents[1]) for path in place.rglob("exploded")]
    return {"unchanged": unchanged, "executed": executed, **json.loads(done.stdout)}


@pytest.mark.parametrize("name", CASES)
def test_malformed_folder_is_refused(name: str, verdicts: dict[str, Any]) -> None:
    """In one printable line that names the folder."""
    verdict, seconds, megabytes = verdicts[name]
    assert verdict is not None, "it was loaded"
    kind, message = verdict
    assert kind == "ValueError", message
    assert CASES[name][2] in message
    assert "release" in message
    assert message.isprintable()
    assert len(message) < 800
    assert seconds < 10
    assert megabytes < 200
    assert verdicts["unchanged"][name]


def test_nothing_is_executed(verdicts: dict[str, Any]) -> None:
    assert len(CASES) >= 200
    assert verdicts["executed"] == []


@pytest.mark.parametrize("kind", MODELS)
def test_valid_folder_with_pickles_is_loaded(kind: str, verdicts: dict[str, Any]) -> None:
    assert verdicts[kind][0] is None


SHOWN = (
    "vae: a key twice",
    "vae: a pickle",
    "vae: a trillion latents",
    "vae: an import path for a part",
    "prior: a VQ-VAE in a folder",
    "text: a token twice",
)


@pytest.mark.parametrize("command", ["sample", "reconstruct", "test"])
@pytest.mark.parametrize("name", SHOWN)
def test_command_line_prints_one_line(
    name: str, command: str, folders: dict[str, Path], tmp_path: Path, monkeypatch: Any, capfd: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([command, str(folders[name])]) == 2
    error = capfd.readouterr().err
    assert CASES[name][2] in error
    assert error.count("\n") == 1
    assert "Traceback" not in error
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", ["reconstruct", "test"])
@pytest.mark.parametrize("name", ["os.system", "gumbelzoo.data.ImageData", "ImageData", "image"])
def test_unregistered_data_class_is_refused(
    name: str, command: str, folders: dict[str, Path], tmp_path: Path, monkeypatch: Any, capfd: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(folders["vae"], "release")
    put(data={"class": name, "arguments": {}})(Path("release"))
    assert main([command, "release"]) == 2
    assert f"unknown data module: '{name}'" in capfd.readouterr().err


def test_links_into_the_hub_cache_are_followed(folders: dict[str, Path], tmp_path: Path) -> None:
    blobs, snapshot = tmp_path / "models--a--b/blobs", tmp_path / "models--a--b/snapshots/0123"
    blobs.mkdir(parents=True)
    snapshot.mkdir(parents=True)
    for name in (CONFIG, WEIGHTS):
        shutil.copy(folders["vae"] / name, blobs / f"blob-{name}")
        (snapshot / name).symlink_to(f"../../blobs/blob-{name}")
    assert gumbelzoo.load(snapshot).sample(1).shape == (1, 1, 8, 8)
    (blobs / f"blob-{WEIGHTS}").rename(tmp_path / "outside")
    (blobs / f"blob-{WEIGHTS}").symlink_to(tmp_path / "outside")
    with pytest.raises(ValueError, match="leads out of the folder"):
        gumbelzoo.load(snapshot)


def test_tokens_are_printed_without_escapes(folders: dict[str, Path], tmp_path: Path, capfd: Any) -> None:
    """A vocabulary must not command the terminal."""
    shutil.copytree(folders["text"], tmp_path / "release")
    inside("vocabulary", tokens=["\x1b[2J", "\x1b]0;title\x07", "a\rb", "c"])(tmp_path / "release")
    assert main(["sample", str(tmp_path / "release"), "-n", "20"]) == 0
    printed = capfd.readouterr().out
    assert len(printed.splitlines()) == 20
    assert all(letter.isprintable() for letter in printed.replace("\n", ""))
