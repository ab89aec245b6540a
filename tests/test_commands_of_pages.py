"""Pages of the families, of the command line and the first one: their commands in their order, with short training."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import gumbelzoo
import pytest
from gumbelzoo.train import main

DOCS = Path(gumbelzoo.__file__).parent / "docs"
FAMILIES = [f"families/{path.stem}" for path in sorted((DOCS / "families").glob("*.md"))]
DATA = {
    f"families/{name}": "MNIST" for name in ("classifier", "gates", "glimpse")
}  # that configurations and tests read
SHORT = ["--trainer.accelerator=cpu", "--trainer.max_steps=2", "--trainer.val_check_interval=2"]
ONCE = ["--trainer.check_val_every_n_epoch=1", "--trainer.limit_val_batches=1", "--trainer.enable_progress_bar=false"]


def commands(page: str) -> list[list[str]]:
    """Words of the lines of shell blocks, the program first."""
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    blocks = "".join(re.findall(r"```bash\n(.*?)```", text, re.DOTALL))
    return [shlex.split(line, comments=True) for line in blocks.replace("\\\n", " ").splitlines()]


PAGES = [
    pytest.param(page, marks=[pytest.mark.real_data] if page in DATA else [])
    for page in ["index", "command_line", *filter(commands, FAMILIES)]
]


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("page", PAGES)
def test_commands_of_the_page_run(
    page: str, workspace: Path, capfd: pytest.CaptureFixture[str], real: Callable[[str], str]
) -> None:
    """What a line writes is there for the next one."""
    if page in DATA:
        real(DATA[page])
    for program, *words in commands(page):
        assert program == "gumbelzoo"
        short = [*SHORT, *ONCE] if words[0] == "fit" else []
        assert main([*words, *short]) == 0, f"{words}: {capfd.readouterr().err}"
        if "--out" in words:
            assert Path(words[words.index("--out") + 1]).is_file()
