"""The Python of the README runs as written, and the commands and links of both README pages name what exists."""

import re
import shlex
from pathlib import Path

import gumbelzoo
import pytest
from gumbelzoo.commands.configs import config_names
from gumbelzoo.train import COMMANDS

ROOT = Path(gumbelzoo.__file__).parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
RESULTS = (ROOT / "benchmarks/README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, flags=re.DOTALL)
LINES = [line for language, block in BLOCKS if language == "bash" for line in block.splitlines() if "train.py" in line]
LINK, SCRIPT = r"\]\((?!http)([^)]+)\)", r"`([\w/]+\.py)[` ]"
CONFIG = r"`((?:catvae|structured|vqvae|prior|textgan)_\w+)`"


@pytest.mark.parametrize("block", [text for language, text in BLOCKS if language == "python"])
def test_python_blocks_run(block: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(block, "README.md", "exec"), {})


@pytest.mark.parametrize("line", LINES)
def test_commands_and_configurations_exist(line: str) -> None:
    words = shlex.split(line, comments=True)
    words = words[words.index("train.py") + 1 :]
    assert words[0] in COMMANDS
    if "--config" in words:
        assert Path(words[words.index("--config") + 1]).stem in config_names()


@pytest.mark.parametrize("link", re.findall(LINK, README))
def test_links_lead_somewhere(link: str) -> None:
    assert (ROOT / link).exists()


@pytest.mark.parametrize("name", sorted({*re.findall(LINK, RESULTS), *re.findall(SCRIPT, RESULTS)}))
def test_pages_and_scripts_of_the_results_exist(name: str) -> None:
    assert (ROOT / "benchmarks" / name).exists()


@pytest.mark.parametrize("name", sorted(set(re.findall(CONFIG, RESULTS))))
def test_configurations_of_the_results_exist(name: str) -> None:
    assert name in config_names()


def test_every_page_of_the_results_is_linked() -> None:
    pages = {str(path.relative_to(ROOT / "benchmarks")) for path in (ROOT / "benchmarks").glob("*/*.md")}
    assert pages <= set(re.findall(LINK, RESULTS))
