"""The documentation site: built from the tree, where every warning, such as a link that leads nowhere, is an error."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import gumbelzoo
import pytest
from gumbelzoo.commands.documentation.catalogue import Catalogue
from gumbelzoo.docs.navigation import KINDS, files, name, pages
from gumbelzoo.docs.reference import generated
from gumbelzoo.train import COMMANDS

ROOT = Path(gumbelzoo.__file__).parent
FIRST = "docs/index"
FAULTS = (ROOT / "docs/faults.md").read_text(encoding="utf-8")
TESTED_THERE = {"CONTRIBUTING", "benchmarks/README"}  # test_contributing.py, test_readme.py; cards in test_cards.py


def test_every_page_of_the_tree_is_in_the_site() -> None:
    found = {name(path) for path in files(["docs/*", "docs/*/*", "benchmarks/*", "benchmarks/*/*"])}
    assert found == {page for page in [FIRST, *pages()] if page.startswith(("docs/", "benchmarks/"))}
    assert len(pages()) == len(set(pages()))


def test_api_pages_have_every_part() -> None:
    """Each by its name, with its options; and they need no import of torch."""
    text = "".join(generated(f"docs/api/{page}") for page in KINDS)
    for kind in Catalogue().kinds.values():
        for entry in kind.entries.values():
            assert f"### `{entry.name or entry.object}`" in text
            assert all(f"- `{option.name}`" in text for option in entry.options)
    assert {path.stem for path in (ROOT / "docs/api").glob("*.md")} - set(KINDS) == {"python", "layer"}


def test_command_line_page_has_every_command() -> None:
    page = (ROOT / "docs/command_line.md").read_text(encoding="utf-8")
    assert [command for command in COMMANDS if not re.search(rf"^\|.*`{command}`.*\|", page, re.MULTILINE)] == []
    text = generated("docs/command_line")
    assert [command for command in COMMANDS if f"### `{command}`" not in text] == ["help"]


@pytest.mark.parametrize(("test", "file"), re.findall(r"(?:`(test_\w+)` in )?\[test_\w+\.py\]\(\.\./([^)]+)\)", FAULTS))
def test_fault_is_tested(test: str, file: str) -> None:
    text = (ROOT / file).read_text(encoding="utf-8")
    assert f"def {test}(" in text if test else "def test_" in text


def test_snippets_are_on_pages_that_are_run() -> None:
    """Those of ``docs`` and of the README are; the other pages of the site have none."""
    others = [
        page for page in pages() if not page.startswith(("docs/", "checkpoints/")) and page != "benchmarks/README"
    ]
    texts = {page: (ROOT / f"{page}.md").read_text(encoding="utf-8") for page in set(others) - TESTED_THERE}
    assert [page for page, text in texts.items() if re.search(r"^```(py|python|sh|bash)\b", text, re.MULTILINE)] == []


def build(folder: Path, *options: str) -> None:
    """Build into a folder; every warning fails."""
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-c", "docs", "-d", str(folder / "trees")]
    done = subprocess.run([*command, *options, ".", str(folder / "site")], cwd=ROOT, capture_output=True, text=True)
    assert not done.returncode and not done.stderr, done.stderr


def test_no_link_is_broken(tmp_path: Path) -> None:
    """Links, sections and pictures of all pages, and the text read from the source; nothing is written."""
    build(tmp_path, "-b", "dummy", "-t", "pages")


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_site_builds_without_a_warning(tmp_path: Path) -> None:
    """As ``make docs`` does; ``llms.txt`` names every page, and the first address leads to the first page."""
    build(tmp_path)
    index = (tmp_path / "site/llms.txt").read_text(encoding="utf-8")
    links = re.findall(r"^- \[[^\n]+\]\((\S+)\): \S", index, re.MULTILINE)
    assert links == [f"{page}.html" for page in [FIRST, *pages()]]
    assert all((tmp_path / "site" / link).is_file() for link in links)
    assert 'url=docs/index.html"' in (tmp_path / "site/index.html").read_text()
    assert "RelaxedCategorical" in (tmp_path / "site/docs/api/layer.html").read_text()
