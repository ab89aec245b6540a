"""Pages of trained tables are what their records write: no code has changed without its page, nor a page by hand."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

import pytest
from gumbelzoo.benchmarks.common.table import read_record

TABLES = (
    "attention.attention",
    "attention.spelling",
    "gates.fashion",
    "gates.gates",
    "gates.sparsify",
    "glimpse.glimpse",
    "slates.slates",
    "text.organ",
    "text.professor_forcing",
    "text.textvae",
)


def check_page(name: str) -> None:
    """Compare a page with what its record writes; rows without a run are in the record alone."""
    script = import_module(f"gumbelzoo.benchmarks.{name}")
    shown = {row: entry for row, entry in read_record(script.RECORD).items() if entry["runs"]}
    assert script.RECORD.with_suffix(".md").read_text(encoding="utf-8") == "\n\n".join(script.page(shown)) + "\n"


@pytest.mark.parametrize("name", TABLES)
def test_page_is_that_of_its_record(name: str) -> None:
    check_page(name)


@pytest.mark.real_data
def test_page_of_scenes(real: Callable[[str], str]) -> None:
    """It has a line of what needs no model, from the data."""
    real("MNIST")
    check_page("attention.scenes")
