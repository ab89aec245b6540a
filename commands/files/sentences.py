"""Sentences on the command line: those of a test set, and files of one sentence a line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from ...pretrained.config import PLACES
from ...pretrained.paths import whole_file
from ...pretrained.untrusted import printable
from .outputs import TEXTS, check_output, path
from .source import Source, build_data
from .terminal import as_line


def read_test_sentences(source: Source, n: int, root: str | None = None) -> tuple[list[str], Tensor | None]:
    """Return ``n`` test sentences, or all if there are fewer, spread evenly over the set, and their classes, if known.

    Raises:
        ValueError: no data, or data without text.
    """
    data = build_data(source.data, root=root)
    data.prepare_data()
    data.setup("test")
    batches = list(data.test_dataloader())
    if not batches or "tokens" not in batches[0]:
        raise ValueError("the data of this model have no test sentences; give some with --between")
    rows = {name: torch.cat([batch[name] for batch in batches]) for name in batches[0]}
    chosen = torch.linspace(0, len(rows["tokens"]) - 1, min(n, len(rows["tokens"])), dtype=torch.float64).long()
    lines = [source.model.require_vocabulary().decode(row) for row in rows["tokens"][chosen]]
    return lines, rows["label"][chosen] if "label" in rows else None


def check_text_output(out: Path, source: Source) -> None:
    """Check a text file that a command is to write; errors are those of ``check_output``, the corpus an input."""
    corpora = [source.data.get("arguments", {}).get(name) for name in PLACES]
    check_output(out, TEXTS, [path(corpus) for corpus in corpora if corpus])


def write_lines(parts: Iterable[Sequence[str]], out: Path) -> None:
    """Write one sentence a line, and print the path."""
    with whole_file(out) as file:
        for sentences in parts:
            file.write("".join(f"{as_line(sentence)}\n" for sentence in sentences).encode("utf-8"))
    print(printable(str(out)))
