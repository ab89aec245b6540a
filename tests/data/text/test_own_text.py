"""A user's own text: folders, labels, arrays of ids, saved data sets, lists, and vocabularies that are given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gumbelzoo.data import TextData
from gumbelzoo.data.text import documents, ids
from gumbelzoo.vocabulary import BPE, EOS

LINES = [f"the {'very ' * (i % 3)}old dog {i} of {i % 7}." for i in range(60)]
MOODS = [f"{('bad', 'good')[i % 2]} day number {i}" for i in range(60)]


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def put(name: str, lines: list[str]) -> str:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return str(path)

    return put


def refused(*parts: str, **arguments: Any) -> str:
    with pytest.raises((ValueError, FileNotFoundError)) as error:
        TextData("text", **arguments).setup()
    message = str(error.value)
    assert "\n" not in message
    for part in parts:
        assert part in message, message
    return message


def lines_of(data: TextData) -> set[str]:
    parts = (data.splits.train, data.splits.valid, data.splits.test)
    return {data.vocabulary.decode(row) for part in parts for row in part.tokens}


# -- folders ----------------------------------------------------------------------------------------------------------


def test_folder_of_files(write: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All .txt files in it and below it; what else is there is named, unless it is hidden."""
    write("text/b.txt", LINES[:20])
    write("text/a/c.TXT", LINES[20:])
    write("text/a/notes.md", ["no text"])
    write("text/.hidden", ["no text"])
    data = TextData("text", path=str(tmp_path / "text"), level="character")
    assert lines_of(data) == set(LINES)
    assert capsys.readouterr().err == "left out: a/notes.md (no .txt file)\n"
    assert data.metadata()["left out"] == "1 files: a/notes.md (no .txt file)"
    assert data.metadata()["source"] == "text"


def test_links_in_a_folder(write: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Are followed, each folder once; a class has the name of the folder, not of a link to it."""
    write("elsewhere/c.txt", LINES[20:])
    write("text/b/b.txt", LINES[:20])
    for link, target in {"linked": tmp_path / "elsewhere", "a": "b", "b/up": "..", "x.txt": "nothing"}.items():
        (tmp_path / "text" / link).symlink_to(target)
    data = TextData("text", path=str(tmp_path / "text"), labels="files", level="character")
    assert lines_of(data) == set(LINES) and data.class_names == ("b", "linked")
    assert capsys.readouterr().err == "left out: x.txt (a link to nothing)\n"


@pytest.mark.parametrize(("train", "test"), [("Train.txt", "test.txt"), ("train/a.txt", "validation/a.txt")])
def test_splits_in_a_folder_raise(train: str, test: str, write: Any, tmp_path: Path) -> None:
    """Else training would read the test text."""
    write(f"text/{train}", LINES)
    write(f"text/{test}", LINES)
    first, second = (tmp_path / "text" / name.partition("/")[0] for name in (train, test))
    refused(f"would be joined: give path {first} and test_path {second}, or rename", path=str(tmp_path / "text"))


def test_folder_without_text_raises(write: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").mkdir()
    refused("empty has no .txt file in it; give UTF-8", path=str(tmp_path / "empty"))
    write("pdf/a.pdf", ["x"])
    refused("has no .txt file in it; it has a.pdf; give", path=str(tmp_path / "pdf"))
    broken = write("broken/b.txt", LINES)
    Path(broken).write_bytes(b"good\nbad \xff\n")
    refused(f"{broken} line 2 has the byte 0xff", path=str(tmp_path / "broken"))
    monkeypatch.setattr(documents, "MAX_BYTES", 1000)
    write("large/a.txt", LINES)
    refused("bytes, more than 1,000; give a part", path=str(tmp_path / "large"))


# -- labels -----------------------------------------------------------------------------------------------------------


def check_labels(data: TextData, label_of: Any) -> None:
    """Every batch has the class of each of its lines."""
    assert data.classes == 2
    for loader in (data.train_dataloader(), data.val_dataloader(), data.test_dataloader()):
        for batch in loader:
            lines = [data.vocabulary.decode(row) for row in batch["tokens"]]
            assert batch["label"].tolist() == [label_of(line) for line in lines]
            assert batch["label"].dtype == torch.int64


def test_labels_before_a_tab(write: Any) -> None:
    lines = [f"{line.split()[0]}\t{line}" for line in MOODS]
    options = {"labels": "tab", "level": "character", "batch_size": 8, "eval_batch_size": 4}
    data = TextData("text", path=write("a.txt", lines), **options)
    check_labels(data, lambda line: ("bad", "good").index(line.split()[0]))
    assert data.metadata()["labels"] == "2 classes: 0 bad, 1 good"
    test = write("test.txt", ["good\tgood day again", "bad\tbad day again"])
    check_labels(
        TextData("text", path=write("b.txt", lines), test_path=test, **options), lambda line: int("good" in line)
    )


def test_labels_in_a_file(write: Any) -> None:
    """Line by line; blank lines have labels too, which are not used."""
    path = write("a.txt", [*MOODS[:30], "", *MOODS[30:]])
    labels = ["0", "1"] * 15 + ["x"] + ["0", "1"] * 15
    options = {"path": path, "level": "character", "batch_size": 8}
    data = TextData("text", labels_path=write("labels.txt", labels), **options)
    check_labels(data, lambda line: int(line.split()[-1]) % 2)
    refused("labels.txt has no label in line 61, and", labels_path=write("labels.txt", labels[:-1]), **options)
    refused("labels.txt goes on with line 62", labels_path=write("labels.txt", [*labels, "0"]), **options)


def test_labels_in_the_names_of_files(write: Any, tmp_path: Path) -> None:
    write("text/good.txt", MOODS[1::2])
    write("text/bad/1.txt", MOODS[:30:2])
    write("text/bad/2.txt", MOODS[30::2])
    data = TextData("text", path=str(tmp_path / "text"), labels="files", min_count=1, batch_size=8)
    check_labels(data, lambda line: int(line.startswith("good")))


def test_numbers_are_classes_in_their_order() -> None:
    data = TextData.from_lines(LINES, labels=[(2, 10)[i % 2] for i in range(60)])
    assert data.metadata()["labels"] == "2 classes: 0 2, 1 10"
    long = "1" * 5000  # Python reads no number of so many digits: it is a name
    data = TextData.from_lines(LINES, labels=[("2", long)[i % 2] for i in range(60)])
    assert data.metadata()["labels"] == f"2 classes: 0 {long[:40]}, 1 2"


def test_mistakes_in_labels_raise(write: Any, tmp_path: Path) -> None:
    path = write("a.txt", LINES)
    refused("a.txt line 1 is no label<TAB>text; add the label, or leave out labels", path=path, labels="tab")
    refused("labels is 'tabs', for a file; labels is tab", path=path, labels="tabs")
    refused("labels is 'files', for a file", path=path, labels="files")
    refused("with a test_path, use lines of label<TAB>text", path=path, labels_path=path, test_path=path)
    refused("labels.txt is no file", path=path, labels_path=str(tmp_path / "labels.txt"))
    labelled = write("b.txt", [f"a\t{line}" for line in LINES])
    test = write("test.txt", ["b\tother text", "a\tand more"])
    refused(
        "test.txt line 1 has the label 'b', which no line",
        path=labelled,
        labels="tab",
        test_path=test,
        level="character",
    )


def test_too_many_labels_raise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gumbelzoo.data.text.labels.MAX_CLASSES", 5)
    with pytest.raises(ValueError, match="has 60 different labels, more than 5; does each line begin with its label"):
        TextData.from_lines(LINES, labels=range(60))


# -- byte pairs and vocabularies --------------------------------------------------------------------------------------


def test_byte_pairs_are_learned_from_training_only(write: Any) -> None:
    """Nothing is unknown, and all lines come back; the test text does not change the vocabulary."""
    pytest.importorskip("tokenizers")
    test = write("test.txt", ["zebras zebras zebras", "zebra 你好"])
    data = TextData("text", path=write("a.txt", LINES), test_path=test, level=BPE, max_vocabulary=270)
    vocabulary = data.vocabulary
    assert (len(vocabulary), vocabulary.level, vocabulary.unk) == (270, BPE, None)
    assert lines_of(data) == {*LINES, "zebras zebras zebras", "zebra 你好"}
    assert not any("zeb" in token for token in vocabulary.tokens)
    metrics = data.score(data.splits.test.tokens)
    assert metrics["bleu_2"] == pytest.approx(1.0, abs=0.1) and metrics["copied"] == 0
    assert data.score(data.splits.train.tokens)["copied"] == 1


def test_limits_of_byte_pairs(write: Any) -> None:
    path = write("a.txt", LINES)
    refused("max_vocabulary >= 257, got 2 and 256", path=path, level=BPE, max_vocabulary=256)
    refused(
        "line 1 has ",
        "(bpe level), more than longest_line=10",
        path=path,
        level=BPE,
        max_vocabulary=257,
        longest_line=10,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(__import__("sys").modules, "tokenizers", None)
        refused("level=bpe learns its tokens with a library; pip install 'gumbelzoo[bpe]'", path=path, level=BPE)


def test_vocabulary_that_is_given(write: Any) -> None:
    """A file of one token a line, with the space before each word; special tokens are added."""
    tokens = [" the", " very", " old", " dog", " of", ".", " never", *(f" {i}" for i in range(60))]
    path, given = write("a.txt", LINES), write("tokens.txt", tokens)
    data = TextData("text", path=path, vocabulary_path=given, min_count=9)
    assert data.vocabulary.tokens == ["<eos>", "<unk>", *tokens]
    assert lines_of(data) == set(LINES)
    assert TextData.from_lines(LINES, vocabulary=tokens).vocabulary == data.vocabulary
    for content, message in (
        (["a", "", "b"], "line 2 is empty"),
        (["a", "b", "a"], "line 3 has the token of line 1 again"),
        (["x", "y"], "are not among the 2 known ones"),
    ):
        refused(message, path=path, vocabulary_path=write("tokens.txt", content))
    learned = TextData.from_lines(LINES, level=BPE, max_vocabulary=280).vocabulary
    again = TextData("text", path=path, level=BPE, vocabulary_path=write("bpe.txt", learned.tokens))
    assert again.vocabulary == learned


# -- arrays of ids ----------------------------------------------------------------------------------------------------


def test_array_of_ids(tmp_path: Path) -> None:
    """Each id stands for itself, and sequences have a fixed length."""
    tokens = np.random.default_rng(0).integers(0, 9, (40, 6)).astype(np.uint8)
    np.save(tmp_path / "a.npy", tokens)
    data = TextData("text", path=str(tmp_path / "a.npy"), batch_size=8)
    assert (data.vocabulary.tokens, data.vocabulary.eos, data.max_length) == ([str(i) for i in range(9)], None, 6)
    rows = torch.cat([data.splits.train.tokens, data.splits.valid.tokens, data.splits.test.tokens])
    assert sorted(rows.tolist()) == sorted(tokens.tolist())
    assert data.splits.train.lengths.eq(6).all()
    assert data.score(data.splits.train.tokens)["copied"] == 1
    assert TextData.from_ids(tokens).splits.train.tokens.equal(data.splits.train.tokens)


def test_ids_with_vocabulary_and_labels(write: Any, tmp_path: Path) -> None:
    """What follows the first EOS is padding."""
    tokens = np.random.default_rng(0).integers(0, 4, (40, 6))
    labels = tokens[:, 0] % 2
    np.savez(tmp_path / "a.npz", tokens=tokens, label=labels)
    given = write("tokens.txt", ["a", "b", EOS, "c"])
    data = TextData("text", path=str(tmp_path / "a.npz"), vocabulary_path=given, batch_size=8)
    for batch in data.train_dataloader():
        assert batch["label"].tolist() == (batch["tokens"][:, 0] % 2).tolist()
        padding = torch.arange(6) >= batch["length"][:, None]
        assert (batch["tokens"][padding] == 2).all() and data.classes == 2
    assert data.vocabulary.decode(torch.tensor([0, 3, 2, 1])) == "a c"


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((40, 6)), "'tokens' is float64 (40, 6)"),
        (np.zeros(40, int), "'tokens' is int64 (40,)"),
        (np.zeros((5, 6), int), "has 5 sequences; give at least 11"),
        (np.full((40, 6), -1), "has ids from -1 to -1"),
        (np.array([[object()]]), "holds objects, not real numbers"),
    ],
)
def test_other_arrays_raise(array: np.ndarray, message: str, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    refused(message, path=str(tmp_path / "a.npy"))


def test_arrays_of_other_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``labels`` are labels, as of images, and what is neither is told."""
    tokens = np.random.default_rng(0).integers(0, 4, (40, 6))
    np.savez(tmp_path / "a.npz", tokens=tokens, labels=tokens[:, 0], lengths=tokens[:, 1])
    data = TextData("text", path=str(tmp_path / "a.npz"))
    assert data.classes == 4 and data.metadata()["left out"] == "1 arrays: lengths (neither tokens nor label)"
    assert capsys.readouterr().err == "left out: lengths (neither tokens nor label)\n"
    np.savez(tmp_path / "a.npz", tokens=tokens, labels=tokens[:, 0], label=tokens[:, 0])
    refused("it has 'label' and 'labels'", path=str(tmp_path / "a.npz"))


@pytest.mark.parametrize(
    ("tokens", "labels", "message"),
    [
        ([[1, 2], [3]] * 20, None, "ids in memory have rows of several lengths; pad them to one length"),
        (
            [[1, 2]] * 20,
            [10**12] * 20,
            r"has labels from 1000000000000 to 1000000000000; they are classes in \[0, 1,000",
        ),
    ],
)
def test_other_ids_in_memory_raise(tokens: list[list[int]], labels: list[int] | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TextData.from_ids(tokens, labels)


def test_size_of_an_array_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By what its header says, before memory is taken."""
    np.save(tmp_path / "a.npy", np.zeros((40, 6), int))
    monkeypatch.setattr(ids, "MAX_CELLS", 200)
    refused("'tokens' has the shape (40, 6), more than 200 ids", path=str(tmp_path / "a.npy"))
    refused("is an array of ids, which has no use for min_count", path=str(tmp_path / "a.npy"), min_count=3)


def test_one_large_id_takes_no_memory(tmp_path: Path) -> None:
    """-1 as padding, saved as an unsigned number, would be the largest of 2^32 tokens."""
    tokens = np.zeros((40, 6), np.uint32)
    tokens[7, 5] = 2**32 - 1
    np.save(tmp_path / "a.npy", tokens)
    refused("a.npy has the id 4,294,967,295 in row 7, and ids are below 241,979; pad", path=str(tmp_path / "a.npy"))


# -- data sets and lists ----------------------------------------------------------------------------------------------


def test_saved_data_set(tmp_path: Path) -> None:
    """Its own splits are kept, and the numbers of its classes."""
    datasets = pytest.importorskip("datasets")
    features = datasets.Features({"line": datasets.Value("string"), "mood": datasets.ClassLabel(names=["good", "bad"])})
    moods = [i % 2 for i in range(1, 61)]
    whole = datasets.Dataset.from_dict({"line": MOODS, "mood": moods}, features=features)
    parts = datasets.DatasetDict(
        {
            name: whole.select(rows)
            for name, rows in (("train", range(40)), ("validation", range(40, 50)), ("test", range(50, 60)))
        }
    )
    parts.save_to_disk(str(tmp_path / "saved"))
    options = {"column": "line", "labels": "mood", "level": "character", "batch_size": 8}
    data = TextData("text", path=str(tmp_path / "saved"), **options)
    assert [len(part) for part in (data.splits.train, data.splits.valid, data.splits.test)] == [40, 10, 10]
    check_labels(data, lambda line: int(line.startswith("bad")))
    assert data.metadata()["names of labels"] == "good, bad"
    parts["validation"] = parts["test"]
    parts.save_to_disk(str(tmp_path / "same"))
    overlap = TextData("text", path=str(tmp_path / "same"), **options).metadata()["overlap"]
    assert overlap == "10 of 10 test sentences are also in training or validation"
    refused("has the columns line, mood, and not 'text'", path=str(tmp_path / "saved"))
    memory = TextData.from_dataset(whole, "line", "mood", level="character")
    assert memory.classes == 2 and lines_of(memory) == set(MOODS)


def test_lists_of_text() -> None:
    """The splits are those of a file of the same lines."""
    data = TextData.from_lines([*LINES, " ", ""], level="character")
    assert lines_of(data) == set(LINES)
    assert data.metadata()["source"] == "text in memory"
    test = TextData.from_lines(LINES, ["another dog.", "the dog."], batch_size=20)
    assert len(test.splits.test) == 2 and next(iter(test.train_dataloader()))["tokens"].shape == (20, test.max_length)


@pytest.mark.parametrize(
    ("lines", "labels", "message"),
    [
        ([*LINES, 3], None, "line 61 is a int, no text"),
        ([*LINES, "a\nb"], None, r"line 61 has 1 line ends LF \(U\+000A\) within it; split it there"),
        ([*LINES, "a\x00"], None, "line 61 has the control character"),
        ([*LINES, "\ud800"], None, "line 61 has half a character"),
        ([*LINES, EOS], None, "line 61 contains <eos>"),
        (LINES, [0] * 59, "line 60 has no label; give as many of both"),
        (LINES, [0] * 61, "line 61 has no text; give as many of both"),
        ([], None, "has no text in it"),
    ],
)
def test_impossible_lists_raise(lines: list[Any], labels: list[int] | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TextData.from_lines(lines, labels=labels)
