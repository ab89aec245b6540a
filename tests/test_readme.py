"""The pages: their Python runs, their commands and options exist, their links lead somewhere."""

from __future__ import annotations

import argparse
import importlib
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gumbelzoo
import pytest
import yaml
from gumbelzoo.commands.documentation.catalogue import Catalogue
from gumbelzoo.commands.documentation.entries import Entry
from gumbelzoo.commands.parsing.configs import config_names
from gumbelzoo.train import COMMANDS

ROOT = Path(gumbelzoo.__file__).parent
PAGES = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in sorted(ROOT.glob("docs/**/*.md"))}
PAGES |= {name: (ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "benchmarks/README.md")}
RESULTS = PAGES["benchmarks/README.md"]
CATALOGUE = Catalogue()
LINK, SCRIPT = r"\]\((?!http)([^)#]+)\)", r"`([\w/]+\.py)[` ]"
PROGRAM = r"train\.py$|main\(\)$|^gumbelzoo$"
CONFIG = r"`((?:catvae|vqvae|prior|textgan)_\w+|structured_mnist\w*)`"


def blocks(language: str) -> list[tuple[str, str]]:
    """Pages and texts of their blocks in a language."""
    found = [(page, re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)) for page, text in PAGES.items()]
    return [(page, block) for page, texts in found for block in texts]


def commands() -> Iterator[list[str]]:
    """Arguments of the program in shell blocks, by any of its names, and of ``gumbelzoo COMMAND ...`` in the text."""
    for _, block in blocks("bash"):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            start = next(
                (i for i, word in enumerate(words) if re.search(r"train\.py$|main\(\)$|^gumbelzoo$", word)), None
            )
            if start is not None and "--plugin" not in words:  # with their plugins on docs/your_data.md
                yield words[start + 1 :]
    for text in PAGES.values():
        for line in re.findall(r"`(?:gumbelzoo|python train\.py) ([a-z][^`A-Z]*)`", text.replace("\n", " ")):
            yield shlex.split(line)


def links() -> list[tuple[str, str]]:
    return [(page, link) for page, text in PAGES.items() for link in re.findall(LINK, text)]


@pytest.mark.parametrize(("page", "block"), blocks("python"), ids=lambda text: text[:20])
def test_python_runs(page: str, block: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    exec(compile(block, page, "exec"), {})


@pytest.mark.parametrize("words", list(commands()), ids=" ".join)
def test_command_and_its_options_exist(words: list[str]) -> None:
    command, *rest = words
    assert command in COMMANDS
    if command == "help":
        command, *rest = rest
    if command not in ("fit", "validate", "test"):
        module, parser = importlib.import_module(f"gumbelzoo.commands.{command}"), argparse.ArgumentParser()
        module.add_arguments(parser)
        options = vars(parser.parse_known_args(rest)[0] if command == "sweep" else parser.parse_args(rest))
        if command == "list" and options["name"]:
            assert options["name"] in CATALOGUE.find(options["kind"]).entries
        return
    if "--config" in rest:
        config = Path(rest[rest.index("--config") + 1])
        assert config.stem in config_names() and config.suffix in ("", ".yaml")
        check_options(config.stem, [word.lstrip("-").partition("=")[::2] for word in rest if word.startswith("--")])


def check_options(config: str, options: list[tuple[str, str]]) -> None:
    """Options of the model and the data are arguments of those of the configuration, at every level."""
    text = (ROOT / f"configs/{config}.yaml").read_text(encoding="utf-8")
    for name, value in options:
        part, *path = name.split(".")
        if part in ("model", "data") and path:
            kind = CATALOGUE.registries["MODELS" if part == "model" else "DATA"]
            check_option(kind.entries[yaml.safe_load(text)[part]["class_path"]], path, yaml.safe_load(value))


def check_option(entry: Entry, path: list[str], value: Any) -> None:
    """``a=value``, or ``a.b=value`` of a group of options; the value for a part is a name or ``{name: ...}``."""
    option, *inner = path
    assert option in [known.name for known in entry.options]
    part = entry.parts.get(option)
    if inner:
        assert part is not None
        check_option(part.entries[""], inner, value)
    elif part is not None and isinstance(value, (str, dict)) and value != "mine":
        name, options = (value, {}) if isinstance(value, str) else (value.get("name", ""), value)
        assert {*options} - {"name"} <= {known.name for known in part.entries[name].options}


@pytest.mark.parametrize(("page", "block"), blocks("yaml"), ids=lambda text: text[:20])
def test_configuration_names_what_exists(page: str, block: str) -> None:
    for section, registry in (("model", "MODELS"), ("data", "DATA")):
        part = yaml.safe_load(block)[section]
        for option, value in part["init_args"].items():
            check_option(CATALOGUE.registries[registry].entries[part["class_path"]], [option], value)


@pytest.mark.parametrize(("page", "link"), links(), ids=lambda text: text)
def test_link_leads_somewhere(page: str, link: str) -> None:
    assert (ROOT / page).parent.joinpath(link).exists()


@pytest.mark.parametrize("script", sorted(set(re.findall(SCRIPT, RESULTS))))
def test_script_of_the_results_exists(script: str) -> None:
    assert (ROOT / "benchmarks" / script).exists()


@pytest.mark.parametrize("name", sorted({name for text in PAGES.values() for name in re.findall(CONFIG, text)}))
def test_named_configuration_exists(name: str) -> None:
    assert name in config_names()


def test_every_page_is_linked() -> None:
    """Results from ``benchmarks/README.md``, the others from the first page of the site, and that from the README."""
    results = {str(path.relative_to(ROOT / "benchmarks")) for path in (ROOT / "benchmarks").glob("*/*.md")}
    assert results <= set(re.findall(LINK, RESULTS))
    pages = {
        str(path.relative_to(ROOT / "docs")) for path in ROOT.glob("docs/**/*") if path.suffix in (".md", ".ipynb")
    }
    found = set(re.findall(LINK, PAGES["docs/index.md"]))
    assert {page for page in pages - found if not page.startswith("api/")} == {"index.md"}
    assert "docs/index.md" in re.findall(LINK, PAGES["README.md"])


def test_papers_of_every_part_are_cited() -> None:
    for kind in CATALOGUE.kinds.values():
        for name, entry in kind.entries.items():
            assert [paper for paper in entry.papers if paper not in PAGES["docs/citing.md"]] == [], (kind.name, name)


def test_readme_fits_the_screen() -> None:
    lines = PAGES["README.md"].splitlines()
    assert len(lines) <= 140
    assert [line for line in lines if len(line) > 100 and not line.startswith("|")] == []
