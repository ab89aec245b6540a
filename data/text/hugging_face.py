"""Text in data sets of the library ``datasets``, saved in a folder or in memory; nothing is fetched from a hub."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..left_out import some
from .documents import MEMORY, given_lines
from .rules import Rules
from .tokenization import Sentences

MARKS = ("dataset_dict.json", "dataset_info.json")  # of a folder that `save_to_disk` wrote
Read = tuple[Sentences, Sentences | None, Sentences | None, dict[str, str]]


def read_dataset(folder: Path, column: str | None, labels: str | None, rules: Rules) -> Read:
    """Read a folder that ``save_to_disk`` wrote; see ``dataset_sentences``.

    Raises:
        ValueError: the library is not installed, or the folder is damaged.
    """
    try:
        from datasets import load_from_disk
    except ImportError:
        raise ValueError(
            f"{folder} is a saved data set, read by a library; pip install 'gumbelzoo[datasets]'"
        ) from None
    try:
        dataset = load_from_disk(str(folder))
    except Exception as error:  # of several libraries
        said = str(error).strip().splitlines() or [type(error).__name__]
        raise ValueError(f"{folder} is no data set that `save_to_disk` wrote ({said[0][:200]})") from None
    return dataset_sentences(dataset, column, labels, rules, str(folder))


def dataset_sentences(dataset: Any, column: str | None, labels: str | None, rules: Rules, source: str = MEMORY) -> Read:
    """Return the sentences of training, validation and test (None where there are none), and further facts.

    Args:
        dataset: a ``Dataset``, or a ``DatasetDict`` with ``train`` and, if it has them, ``validation`` and ``test``.
        column: column of the text; None for ``text``.
        labels: column of the labels; None for none.
        rules: tokenization.
        source: place that messages name.

    Raises:
        ValueError: no training split, or a split without one of the columns.
    """
    parts = dict(dataset) if isinstance(dataset, Mapping) else {"train": dataset}
    if "train" not in parts:
        raise ValueError(f"{source} has the splits {some(list(parts)) or 'none'}, and not 'train'; rename one to it")

    def sentences(name: str) -> Sentences | None:
        if name not in parts:
            return None
        part, place = parts[name], f"{source} {name}" if len(parts) > 1 else source
        for wanted in (column or "text", *([labels] if labels else [])):
            if wanted not in part.column_names:
                raise ValueError(
                    f"{place} has the columns {some(part.column_names)}, and not '{wanted}'; column names that of the "
                    "text, and labels that of the labels"
                )
        lines = given_lines(part[column or "text"], part[labels] if labels else None, place)
        return rules.sentences(lines, place)

    train = sentences("train")
    assert train is not None
    names = getattr(parts["train"].features[labels], "names", None) if labels else None
    return train, sentences("validation"), sentences("test"), {"names of labels": some(names)} if names else {}
