"""Sentences on the command line: those of a test set, and files of one sentence a line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...data.left_out import some
from ...data.text.documents import file_lines
from ...data.text.lines import regular_file
from ...data.text.tokenization import MAX_LINES
from ...models.text.vae.sentences import encode_sentences
from ...pretrained.config import PLACES
from ...pretrained.paths import whole_file
from ...pretrained.untrusted import printable
from ...vocabulary import UNKNOWN, Vocabulary
from .outputs import TEXTS, check_output, path
from .source import Source, build_data
from .split_images import spread
from .terminal import as_line, show

ROWS = 500  # sentences that a model reads at a time


class Sentences:
    """Sentences that a command is about: those of the file ``--text``, else test sentences, and their classes.

    Args:
        source: model and data.
        options: of the command, with ``text``, ``label`` and ``root``.
        n: only the first so many of a file, or so many test sentences, spread over the set; None for all.

    Attributes:
        lines: the sentences.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a file without text, or with too much of it; errors of ``read_test_sentences``.
    """

    def __init__(self, source: Source, options: argparse.Namespace, n: int | None = None) -> None:
        self._label = options.label
        if options.text is not None:
            self.lines = read_file(options.text, source.model, n)
            return
        self.lines, labels = read_test_sentences(source, n, options.root)
        if self._label is None and source.model.classes:
            self._label = labels

    def parts(self) -> Iterator[tuple[list[str], Any]]:
        """Yield ``ROWS`` sentences at a time, with their label: one for all, one each, or None."""
        for first in range(0, len(self.lines), ROWS):
            rows = slice(first, first + ROWS)
            yield self.lines[rows], self._label[rows] if isinstance(self._label, Tensor) else self._label


def read_file(path: Path, model: Any, n: int | None = None) -> list[str]:
    """Read the sentences of a UTF-8 file, one a line, or the first ``n``; blank lines are none.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: no text, too many lines, one that the model does not take; errors of ``file_lines``.
    """
    lines = list(islice(file_lines(regular_file(path)), n or MAX_LINES + 1))
    if not lines:
        raise ValueError(f"{path} has no text in it; give a file of one sentence a line")
    if len(lines) > MAX_LINES:
        raise ValueError(f"{path} has more than {MAX_LINES:,} lines of text; give a part of it, or -n")
    for line in lines:  # all of them before the first is used
        try:
            encode_sentences(model.require_vocabulary(), model.max_length, [line.text])
        except ValueError as error:
            raise ValueError(f"{line.file} line {line.number}: {error}") from None
    note_unknown(model.require_vocabulary(), [line.text for line in lines])
    return [line.text for line in lines]


def note_unknown(vocabulary: Vocabulary, lines: Iterable[str]) -> None:
    """Say which tokens of a user's sentences a model does not know, if it reads them all as ``<unk>``."""
    if vocabulary.unk is None:
        return
    tokens = [token for line in lines for token in vocabulary.split(line)]
    if unknown := [token for token in tokens if token not in vocabulary.ids]:
        shown = some([repr(token.strip()[:40]) for token in dict.fromkeys(unknown)])
        said = f"{len(unknown):,} of {len(tokens):,} words are unknown to the model, which reads {UNKNOWN} for them: "
        print(printable(said + shown), file=sys.stderr)


def read_test_sentences(source: Source, n: int | None, root: str | None = None) -> tuple[list[str], Tensor | None]:
    """Return ``n`` test sentences, spread evenly over the set, or all (None, or fewer), and their classes, if known.

    Raises:
        ValueError: no data, or data without text.
    """
    data = build_data(source.data, root=root)
    data.prepare_data()
    data.setup("test")
    batches = list(data.test_dataloader())
    if not batches or "tokens" not in batches[0]:
        raise ValueError("the data of this model have no test sentences; give your own")
    rows = {name: torch.cat([batch[name] for batch in batches]) for name in batches[0]}
    total = len(rows["tokens"])
    chosen = spread(total, n or total)
    lines = [source.model.require_vocabulary().decode(row) for row in rows["tokens"][chosen]]
    return lines, rows["label"][chosen] if "label" in rows else None


def check_text_output(out: Path, source: Source, inputs: Sequence[Path | None] = ()) -> None:
    """Check a text file that a command is to write; errors are those of ``check_output``, the corpus an input."""
    corpora = [source.data.get("arguments", {}).get(name) for name in PLACES]
    check_output(out, TEXTS, [*inputs, *(path(corpus) for corpus in corpora if corpus)])


def print_or_write(parts: Iterable[Sequence[str]], out: Path | None) -> None:
    """Print sentences part by part; or write them to a file, and print its path."""
    if out is not None:
        return write_lines(parts, out)
    for sentences in parts:
        show(sentences)


def write_lines(parts: Iterable[Sequence[str]], out: Path) -> None:
    """Write one sentence a line, and print the path."""
    with whole_file(out) as file:
        for sentences in parts:
            file.write("".join(f"{as_line(sentence)}\n" for sentence in sentences).encode("utf-8"))
    print(printable(str(out)))
