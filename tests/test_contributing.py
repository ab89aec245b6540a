"""CONTRIBUTING.md: its examples are put where they say, imported as they say, and used through the command line."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import gumbelzoo
import pytest

ROOT = Path(gumbelzoo.__file__).parent
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
EXAMPLES = {Path(path): text for path, text in re.findall(r"```python\n# (\S+)\n(.*?)```", PAGE, re.DOTALL)}
SOURCE = ("*.py", "callbacks", "commands", "configs", "data", "evaluation", "models", "pretrained")
FIT = "--trainer.accelerator=cpu --trainer.max_epochs=1 --trainer.enable_progress_bar=false"
VQVAE = "--model=vq_vae --model.image_shape=[1,8,8] --model.dim=4 --data=images --data.binarization=none"
TEXT = "--model=text_gan --model.test_samples=20 --data=text --data.name=text --data.path=lines.txt --data.batch_size=8"
COMMANDS = {
    "identity_straight_through": f"fit --config catvae_digits --model.estimator=identity_straight_through {FIT}",
    "sign": f"fit {VQVAE} --model.quantizer.name=sign --model.quantizer.commitment=0.5 {FIT}",
    "focal": f"fit {TEXT} --model.objective.name=focal --model.objective.gamma=1.5 {FIT}",
    "bars": f"fit --config catvae_digits --data.name=bars {FIT}",
    "bernoulli_mixture": f"fit --model=bernoulli_mixture --data=images --data.binarization=threshold {FIT}",
    "parameters": "parameters catvae-digits",
}
LISTED = {
    "an estimator": "list estimator identity_straight_through",
    "a quantizer": "list quantizer sign",
    "an objective": "list objective focal",
    "a data set": "list data-set bars",
    "a model": "list model bernoulli_mixture",
}
TABLES = {
    "FACTS": "tests/models/relaxed/test_estimators.py",
    "BIAS": "tests/models/relaxed/test_estimators.py",
    "setups": "benchmarks/estimators/estimators.py",
    "FORMS": "tests/models/quantizers/conftest.py",
    "LICENCES": "data/licences.py",
}
SCRIPT = """
import contextlib, io, json, sys
from gumbelzoo.train import main
results = {}
for name, line in json.loads(sys.argv[1]).items():
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        code = main(line.split())
    results[name] = code, out.getvalue(), err.getvalue()
print()
print(json.dumps(results))
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with a copy of the package, the examples in their places, and the imports that the page asks for."""
    folder = tmp_path_factory.mktemp("contributing")
    copy = folder / "gumbelzoo"
    for pattern in SOURCE:
        for path in ROOT.glob(pattern):
            target = copy / path.relative_to(ROOT)
            target.parent.mkdir(exist_ok=True)
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(path, target, ignore=ignored) if path.is_dir() else shutil.copy(path, target)
    shutil.copytree(ROOT / "checkpoints/catvae-digits", copy / "checkpoints/catvae-digits")
    for path, text in EXAMPLES.items():
        (copy / path).parent.mkdir(exist_ok=True)
        (copy / path).write_text(text)
    return folder


@pytest.fixture(scope="module", autouse=True)
def _imported(package: Path) -> None:
    """The one line for each part; the page says in which file."""
    imports = {
        "models/relaxed/estimators/__init__.py": "identity_straight_through",
        "models/quantizers/__init__.py": "sign",
        "models/text/objectives/__init__.py": "focal",
        "data/images/datamodule.py": "bars",
        "models/mixture/__init__.py": "bernoulli_mixture",
        "models/__init__.py": "mixture",
    }
    for file, name in imports.items():
        assert f"`{file}`" in PAGE or file == "models/mixture/__init__.py"
        with (package / "gumbelzoo" / file).open("a") as opened:
            opened.write(f"\nfrom . import {name}\n")
    program = package / "gumbelzoo/train.py"
    assert "`COMMANDS` in `train.py`" in PAGE
    program.write_text(program.read_text().replace("COMMANDS = {", 'COMMANDS = {"parameters": "count parameters",', 1))


@pytest.fixture(scope="module")
def results(package: Path) -> dict[str, tuple[int, str, str]]:
    """Exit code, output and errors of every command, run in one process on the copy."""
    folder = package / "work"
    folder.mkdir()
    (folder / "lines.txt").write_text("\n".join(f"{a}{b} {c}" for a in "abcd" for b in "abcd" for c in "abcd"))
    environment = {**os.environ, "PYTHONPATH": str(package), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", SCRIPT, json.dumps({**COMMANDS, **LISTED})]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_every_example_is_used() -> None:
    assert {path.stem for path in EXAMPLES} == set(COMMANDS)
    assert len(EXAMPLES) == len(re.findall("```python", PAGE))


@pytest.mark.parametrize("name", COMMANDS)
def test_example_works_in_its_place(name: str, results: dict[str, tuple[int, str, str]], package: Path) -> None:
    code, out, err = results[name]
    assert code == 0, err
    if name == "parameters":
        assert out.strip().isdecimal()
    else:
        (run,) = re.findall(r"^run +(\S+)", out, re.MULTILINE)
        assert name in (package / "work" / run / "config.yaml").read_text()


@pytest.mark.parametrize("name", LISTED)
def test_example_is_listed(name: str, results: dict[str, tuple[int, str, str]]) -> None:
    """``list`` reads the docstring of the new part."""
    code, out, err = results[name]
    assert code == 0, err
    assert out.count("\n  ") >= 1 and out.rstrip().splitlines()[-1].startswith("file ")


def test_rules_name_what_exists() -> None:
    names = re.findall(r"`((?:models|data|tests|docs|commands|benchmarks)/[\w/.]+)`", PAGE)
    assert [name for name in names if not (ROOT / name).exists()] == []
    for table, file in TABLES.items():
        assert f"`{table}`" in PAGE and f"`{file}`" in PAGE
        assert re.search(rf"^(def )?{table}\b", (ROOT / file).read_text(), re.MULTILINE)
