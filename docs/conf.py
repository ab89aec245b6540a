"""The documentation site: pages of the tree as they are, in one navigation, and docstrings. `make docs` builds it.

The source folder is the root of the tree. So a relative link leads to the same page here and where a repository is
viewed, and nothing is copied. Files that are no pages are linked where the repository is.
"""

from __future__ import annotations

import re
from pathlib import Path

from docutils import nodes
from gumbelzoo.docs.navigation import NAVIGATION, ROOT, files, name, pages
from gumbelzoo.docs.reference import generated
from sphinx import addnodes
from sphinx.application import Sphinx

project = "gumbelzoo"
author = "The gumbelzoo authors"
root_doc = "docs/index"
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
include_patterns = [f"{page}.*" for page in (root_doc, *pages())]
exclude_patterns = [".*", "build", "dist", "runs", "tests"]  # folders that need not be searched

myst_heading_anchors = 4  # `page.md#section` leads to the section
nb_execution_mode = "off"  # the committed output is shown; tests/test_notebooks.py runs them
autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
add_module_names = False
napoleon_numpy_docstring = False

html_theme = "furo"
html_title = "gumbelzoo"
html_copy_source = False
html_additional_pages = {"index": "to_first_page.html"}
templates_path = ["templates"]

REPOSITORY = re.findall(r'^REPOSITORY = "([^"]+)"', (ROOT / "setup.py").read_text(encoding="utf-8"), re.MULTILINE)[0]
DESCRIPTION = "Generative models with discrete latents, in PyTorch Lightning, on one relaxed-sampling layer."


def add_generated(app: Sphinx, page: str, content: list[str]) -> None:
    """Add the navigation to the first page, and what is generated to others."""
    if page == root_doc:
        for caption, patterns in NAVIGATION.items():
            names = [f"/{name(path)}" for path in files(patterns)]
            content[0] += "\n".join(["", "```{toctree}", ":hidden:", f":caption: {caption}", "", *names, "```", ""])
    content[0] += generated(page, docstrings=not app.tags.has("pages"))  # `-t pages` checks the pages in seconds


def link_files(app: Sphinx, document: nodes.document) -> None:
    """Link files and folders of the tree that are no pages where the repository is."""
    here = (ROOT / app.env.docname).parent
    for node in [*document.findall(addnodes.download_reference), *document.findall(addnodes.pending_xref)]:
        path = here.joinpath(node["reftarget"]).resolve()
        if isinstance(node, addnodes.download_reference) or (node["reftype"] == "myst" and path.is_dir()):
            node.parent.replace(node, _outward(path, node))


def _outward(path: Path, node: nodes.Element) -> nodes.reference:
    view = "tree" if path.is_dir() else "blob"
    target = f"{REPOSITORY}/{view}/main/{path.relative_to(ROOT).as_posix()}"
    return nodes.reference("", "", *[child.deepcopy() for child in node.children], refuri=target, internal=False)


def write_index(app: Sphinx, error: Exception | None) -> None:
    """Write ``llms.txt``: every page, its title and its first sentence."""
    if error is not None or app.builder.format != "html":
        return
    lines = [f"# {project}", "", f"> {DESCRIPTION}", ""]
    for caption, patterns in {"First page": [root_doc], **NAVIGATION}.items():
        lines += [f"## {caption}", ""]
        for page in map(name, files(patterns)):
            if page not in app.env.titles:  # written after the build began
                continue
            document = app.env.get_doctree(page)
            text = next((" ".join(paragraph.astext().split()) for paragraph in document.findall(nodes.paragraph)), "")
            sentence = re.split(r"(?<=[.:]) ", text, maxsplit=1)[0]
            lines.append(f"- [{app.env.titles[page].astext()}]({app.builder.get_target_uri(page)}): {sentence}")
        lines.append("")
    (Path(app.outdir) / "llms.txt").write_text("\n".join(lines), encoding="utf-8")


def setup(app: Sphinx) -> None:
    """Connect the functions above; links are changed before Sphinx collects downloads."""
    app.connect("source-read", add_generated)
    app.connect("doctree-read", link_files, priority=100)
    app.connect("build-finished", write_index)
