"""Arrays of token ids, ``n t``: files of NumPy, or arrays in memory."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from io import BufferedIOBase
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from ...archives import open_zip
from ...vocabulary import Vocabulary
from ..npy import array_names, open_array, read_header, read_values
from ..storage import READ_ERRORS
from .labels import MAX_CLASSES
from .lines import regular_file
from .rules import Rules
from .scores import reference_samples, score
from .splits import Sequences, TextSplits
from .text_file import MAX_CELLS, held_out_rows
from .tokenization import MAX_STORED

SUFFIXES = (".npy", ".npz")
TOKENS, LABELS = "tokens", ("label", "labels")  # arrays of an .npz file
MEMORY = "ids in memory"
FEWEST = 11  # rows
MAX_IDS = MAX_STORED // 13  # bytes of the shortest token


class Ids(NamedTuple):
    """Token ids ``n t`` and the classes ``n`` of their rows, if they have any."""

    source: str
    tokens: np.ndarray
    labels: np.ndarray | None = None

    def select(self, rows: list[int]) -> Ids:
        """Return these rows only."""
        return Ids(self.source, self.tokens[rows], None if self.labels is None else self.labels[rows])


def read_ids(path: Path, left_out: dict[str, str]) -> Ids:
    """Read an .npy file of ids, or an .npz file with the array ``tokens`` and, if there are classes, ``label``.

    Args:
        path: the file.
        left_out: gets the reason for each array that is not read.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: another content, or too much of it; nothing is unpickled.
    """
    path = regular_file(path)
    try:
        with path.open("rb") as file:
            if path.suffix == ".npy":
                return Ids(str(path), _read(file, path.stat().st_size, TOKENS))
            with open_zip(file) as archive:
                members = array_names(archive)
                if TOKENS not in members:
                    raise ValueError(f"it has no array '{TOKENS}'")
                labels = [name for name in LABELS if name in members]
                if len(labels) > 1:
                    raise ValueError("it has 'label' and 'labels'")
                left_out |= dict.fromkeys(sorted(members.keys() - {TOKENS, *labels}), "neither tokens nor label")
                arrays = []
                for name in (TOKENS, *labels):
                    with open_array(archive, members[name]) as array:
                        arrays.append(_read(array, members[name].file_size, name))
            return Ids(str(path), *arrays)
    except READ_ERRORS as error:
        raise ValueError(f"{path} is no array of ids ({error}); give whole numbers 'n t'") from None


def _read(file: BufferedIOBase, size: int, name: str) -> np.ndarray:
    header = read_header(file, size, name)
    axes = 2 if name == TOKENS else 1
    if header.dtype.kind not in "iu" or len(header.shape) != axes:
        raise ValueError(f"'{name}' is {header.dtype} {header.shape}")
    if np.prod(header.shape, dtype=object) > MAX_CELLS:
        raise ValueError(f"'{name}' has the shape {header.shape}, more than {MAX_CELLS:,} ids")
    return read_values(file, header)


def ids_in_memory(tokens: Any, labels: Any) -> Ids:
    """Return the ids of arrays, tensors or lists; ValueError for rows of several lengths."""
    try:
        return Ids(MEMORY, np.asarray(tokens), None if labels is None else np.asarray(labels))
    except ValueError:
        raise ValueError(f"{MEMORY} have rows of several lengths; pad them to one length") from None


def ids_splits(train: Ids, test: Ids | None, rules: Rules, facts: Mapping[str, str] | None = None) -> TextSplits:
    """Split arrays of ids.

    Without tokens that are given, each id stands for itself. A vocabulary with ``<eos>`` has it at the ends of
    sequences, and whatever follows it is padding; without one, all sequences are as long as the array is wide.

    Args:
        train: ids of training, and of the splits that are not given.
        test: ids of the test split.
        rules: vocabulary and level of its tokens.
        facts: further metadata.

    Raises:
        ValueError: too few rows, ids outside the vocabulary, another width or labels that do not fit.
    """
    given = rules.tokens()
    parts = [train, *([test] if test else [])]
    for part in parts:
        _check(part, train, None if given is None else len(given))
    tokens = [str(number) for number in range(_number_of_ids(parts))] if given is None else list(given)
    if sum(len(json.dumps(token)) + 10 for token in tokens) > MAX_STORED:
        raise ValueError(f"{train.source} has {len(tokens):,} ids, too many for a release; merge rare ones")
    vocabulary = Vocabulary(tokens, rules.level)
    classes = 0 if train.labels is None else int(train.labels.max()) + 1
    rest = train
    if test is None:
        rows, held_out = held_out_rows(len(rest.tokens))
        rest, test = rest.select(rows), rest.select(held_out)
    rows, held_out = held_out_rows(len(rest.tokens))
    train_ids, valid_ids, test_ids = (
        _sequences(part, vocabulary) for part in (rest.select(rows), rest.select(held_out), test)
    )
    width = train.tokens.shape[1]
    metadata = {
        "level": f"ids of {len(tokens):,} tokens, at most {width} in a sequence",
        **({"labels": f"{classes:,} classes"} if classes else {}),
        "BLEU": f"mean over the samples, each against all {len(test.tokens):,} test sequences",
        **(facts or {}),
    }
    source = " and ".join(Path(part.source).name for part in parts)
    scores = partial(score, vocabulary, train_ids, test_ids)
    references = partial(reference_samples, train_ids, valid_ids)
    return TextSplits(vocabulary, train_ids, valid_ids, test_ids, source, scores, references, metadata, classes)


def _check(part: Ids, train: Ids, size: int | None) -> None:
    tokens, labels = part.tokens, part.labels
    if tokens.ndim != 2 or tokens.dtype.kind not in "iu" or not tokens.size:
        raise ValueError(f"{part.source} is {tokens.dtype} {tokens.shape}; give whole numbers 'n t'")
    if len(tokens) < (FEWEST if part is train else 1):
        raise ValueError(
            f"{part.source} has {len(tokens)} sequences; give at least {FEWEST}, a tenth is held out twice"
        )
    if tokens.shape[1] != train.tokens.shape[1]:
        raise ValueError(f"{part.source} is {tokens.shape[1]} ids wide and {train.source} {train.tokens.shape[1]}; pad")
    low, high = int(tokens.min()), int(tokens.max())
    if low < 0 or (size is not None and high >= size):
        raise ValueError(f"{part.source} has ids from {low} to {high}; they are in [0, {size or 'number of tokens'})")
    if (labels is None) != (train.labels is None):
        raise ValueError(f"only one of {train.source} and {part.source} has labels; label both or neither")
    if labels is not None and (labels.shape != tokens.shape[:1] or labels.dtype.kind not in "iu"):
        raise ValueError(
            f"the labels of {part.source} are {labels.dtype} {labels.shape}; give one number >= 0 for each row"
        )
    if labels is not None and (labels.min() < 0 or labels.max() >= MAX_CLASSES):
        raise ValueError(
            f"{part.source} has labels from {labels.min()} to {labels.max()}; they are classes in [0, {MAX_CLASSES:,})"
        )
    if labels is not None and train.labels is not None and labels.max() > train.labels.max():
        raise ValueError(f"{part.source} has the label {labels.max()}, which no row of {train.source} has")


def _number_of_ids(parts: Sequence[Ids]) -> int:
    """One more than the largest id; ValueError if no release could name so many."""
    part = max(parts, key=lambda part: int(part.tokens.max()))
    largest = int(part.tokens.max())
    if largest >= MAX_IDS:
        row = int(part.tokens.max(axis=1).argmax())
        raise ValueError(
            f"{part.source} has the id {largest:,} in row {row}, and ids are below {MAX_IDS:,}; pad with a small id of "
            "its own, and merge rare ids"
        )
    return largest + 1


def _sequences(part: Ids, vocabulary: Vocabulary) -> Sequences:
    """Return rows as tensors, padded after their first EOS."""
    tokens = torch.from_numpy(part.tokens.astype(np.int64))
    lengths = vocabulary.lengths(tokens)
    tokens = tokens.masked_fill(torch.arange(tokens.shape[1]) >= lengths[:, None], vocabulary.pad)
    return Sequences(tokens, lengths, None if part.labels is None else torch.from_numpy(part.labels.astype(np.int64)))
