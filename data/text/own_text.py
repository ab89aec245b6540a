"""A user's own text: a file, a folder of files, arrays of ids, a saved data set, or lists in memory.

Text is read in the normal form NFC. ``<unk>`` in it is the unknown token, but of level ``bpe``, which has none.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from ...vocabulary import NORMAL_FORM
from ..left_out import summary, tell
from ..storage import Folders
from .documents import LABELS, MEMORY, WANTED_LABELS, file_lines, folder_lines, given_lines, text_files
from .hugging_face import MARKS, dataset_sentences, read_dataset
from .ids import SUFFIXES, ids_splits, read_ids
from .lines import regular_file
from .rules import Rules
from .splits import TextSplits, text_set
from .text_file import FILE_OPTIONS, JOINED, text_splits
from .tokenization import Sentences

OPTIONS = ("path", "test_path", "labels", "labels_path", "column", *FILE_OPTIONS, JOINED)
PLACES = ("path", "test_path", "labels_path")
OF_LINES = ("labels", "labels_path", "column", "min_count", "max_vocabulary", "longest_line", JOINED)
# Arguments that a kind of text has no use for.
UNUSED = {
    "a file": ("column",),
    "a folder": ("column", "labels_path"),
    "an array of ids": OF_LINES,
    "an array in memory": (*PLACES, *OF_LINES),
    "a saved data set": ("test_path", "labels_path"),
    "a list of lines": (*PLACES, "column"),
    "a data set in memory": PLACES,
}


def kind_of(path: Path) -> str:
    """Return the kind of text at a path, one of ``UNUSED``."""
    if path.suffix in SUFFIXES:
        return "an array of ids"
    if _is_folder(path):
        return "a saved data set" if any((path / mark).is_file() for mark in MARKS) else "a folder"
    return "a file"


def check_used(given: Collection[str], place: str, kind: str) -> None:
    """Check that a kind of text, one of ``UNUSED``, has a use for the arguments that are given, else ValueError."""
    if unused := [name for name in UNUSED[kind] if name in given]:
        raise ValueError(f"{place} is {kind}, which has no use for {unused[0]}; leave it out")


@text_set("text", *OPTIONS)
def text(
    folders: Folders,
    path: str | None = None,
    test_path: str | None = None,
    labels: str | None = None,
    labels_path: str | None = None,
    column: str | None = None,
    vocabulary_path: str | None = None,
    level: str | None = None,
    min_count: int | None = None,
    max_vocabulary: int | None = None,
    longest_line: int | None = None,
    lines_per_sequence: int | None = None,
) -> TextSplits:
    """Read text of any kind.

    Args:
        folders: unused.
        path, test_path, labels, labels_path, column, vocabulary_path, level, min_count, max_vocabulary, longest_line,
            lines_per_sequence: see ``TextData``; None for a default.

    Raises:
        ValueError: no path, an argument that this kind of text has no use for; errors of its reader.
    """
    if path is None:
        raise ValueError(
            "name='text' needs a path, --data.path=...: a UTF-8 file of one sentence a line, a folder of .txt files, "
            "an .npy or .npz file of ids, or a data set saved by `datasets`"
        )
    given = {name: value for name, value in locals().items() if name in OPTIONS and value is not None}
    place = _user_path(path)
    kind = kind_of(place)
    check_used(given, path, kind)
    options = {name: given[name] for name in (*FILE_OPTIONS, JOINED) if name in given}
    left_out: dict[str, str] = {}
    if kind == "an array of ids":
        arrays = [read_ids(_user_path(name), left_out) for name in (path, test_path) if name]
        tell(path, left_out)
        facts = {"left out": summary(left_out, "arrays")} if left_out else {}
        return ids_splits(arrays[0], arrays[1] if test_path else None, Rules(**{"level": "word", **options}), facts)
    rules = Rules(**options, normal_form=NORMAL_FORM)
    if kind == "a saved data set":
        train, valid, test, facts = read_dataset(place, column, labels, rules)
        return text_splits(train, test, rules.vocabulary_of, valid, facts)
    if labels not in (None, *LABELS) or (labels and labels_path) or (labels == "files" and kind == "a file"):
        raise ValueError(
            f"labels is {labels!r}, for {kind}; {WANTED_LABELS}; labels_path is a file of one label a line"
        )
    if labels_path and test_path:
        raise ValueError(
            "labels_path has labels for path only; with a test_path, use lines of label<TAB>text, labels=tab"
        )
    train = _sentences(place, labels, labels_path, rules, left_out)
    test = _sentences(_user_path(test_path), labels, None, rules, left_out) if test_path else None
    tell(path, left_out)
    facts = {"left out": summary(left_out)} if left_out else {}
    return text_splits(train, test, rules.vocabulary_of, facts=facts)


def _user_path(path: str) -> Path:
    """Return a path with the home folder in the place of ``~``; of no such user as it is, which leads nowhere."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # a name that is too long: the reader of files says so
        return False


def _sentences(
    path: Path, labels: str | None, labels_path: str | None, rules: Rules, left_out: dict[str, str]
) -> Sentences:
    """Read a file or folder; files in it that are no text are added to ``left_out`` with the reason."""
    if not _is_folder(path):
        return rules.sentences(file_lines(regular_file(path), labels, labels_path), str(path))
    return rules.sentences(folder_lines(path, text_files(path, left_out), labels), str(path))


def text_in_memory(
    lines: Sequence[str],
    test_lines: Sequence[str] | None = None,
    labels: Any = None,
    test_labels: Any = None,
    **options: Any,
) -> TextSplits:
    """Split and encode lists of lines; ``options`` are those of ``Rules``.

    Raises:
        ValueError: errors of ``check_used`` and ``text_splits``.
    """
    check_used(options, MEMORY, "a list of lines")
    rules = Rules(**options, normal_form=NORMAL_FORM)
    train = rules.sentences(given_lines(lines, labels, MEMORY), MEMORY)
    source = f"test {MEMORY}"
    test = None if test_lines is None else rules.sentences(given_lines(test_lines, test_labels, source), source)
    return text_splits(train, test, rules.vocabulary_of)


def dataset_in_memory(dataset: Any, column: str | None, labels: str | None, **options: Any) -> TextSplits:
    """Split and encode a data set of the library ``datasets``; ``options`` and errors as of ``text_in_memory``."""
    check_used(options, MEMORY, "a data set in memory")
    rules = Rules(**options, normal_form=NORMAL_FORM)
    train, valid, test, facts = dataset_sentences(dataset, column, labels, rules)
    return text_splits(train, test, rules.vocabulary_of, valid, facts)
