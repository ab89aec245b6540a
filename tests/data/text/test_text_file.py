"""Text from files: one-line errors, the vocabulary of the training split, held-out splits, metrics."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from gumbelzoo.data import TextData
from gumbelzoo.data.text.documents import file_lines
from gumbelzoo.data.text.rules import Rules
from gumbelzoo.data.text.text_file import hold_out
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

WORDS = ["red", "green", "blue", "dog", "cat", "runs", "sleeps", "on", "the", "mat"]


def lines(n, seed=0, words=WORDS):
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(words, rng.integers(3, 8))) + "." for _ in range(n)]


@pytest.fixture
def write(tmp_path):
    def put(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else "\n".join(content).encode())
        return str(path)

    return put


def one_line(error, *parts):
    message = str(error.value)
    assert "\n" not in message
    for part in parts:
        assert part in message
    return message


@pytest.mark.parametrize("content", [b"", b"\n\n  \n", b"\xef\xbb\xbf\n"])
def test_empty_file_raises(write, content):
    path = write("empty.txt", content)
    with pytest.raises(ValueError, match="no text") as error:
        TextData("text", path=path).setup()
    one_line(error, path, "line 1")


def test_long_line_raises(write):
    path = write("long.txt", [*lines(20), "a " * 300, "b"])
    with pytest.raises(ValueError, match="longest_line=200") as error:
        TextData("text", path=path).setup()
    one_line(error, f"{path} line 21 has 300 tokens")
    assert TextData("text", path=path, longest_line=300, min_count=1).max_length == 301


def test_bytes_that_are_not_utf8_raise(write):
    path = write("bytes.txt", b"good\nalso good\nbad \xff\xfe\n")
    with pytest.raises(ValueError, match="not UTF-8") as error:
        TextData("text", path=path).setup()
    one_line(error, f"{path} line 3 has the byte 0xff", "convert the file")


def test_mostly_unknown_tokens_raise(write):
    path = write("rare.txt", [f"word{i} other{i}" for i in range(40)])
    with pytest.raises(ValueError, match="100% of the tokens") as error:
        TextData("text", path=path).setup()
    one_line(error, path, "from line", "lower min_count")
    train, foreign = write("train.txt", lines(100)), write("foreign.txt", ["ein hund bellt laut.", "red"])
    with pytest.raises(ValueError, match="of the tokens") as error:
        TextData("text", path=train, test_path=foreign).setup()
    one_line(error, foreign, "from line 1 on", "known ones")
    with pytest.raises(ValueError, match="raise max_vocabulary"):
        TextData("text", path=train, max_vocabulary=4).setup()


def test_other_mistakes_raise(write, tmp_path):
    path = write("some.txt", lines(30))
    with pytest.raises(ValueError, match="needs a path"):
        TextData("text").setup()
    with pytest.raises(FileNotFoundError, match=r"nothing\.txt is no file"):
        TextData("text", path=str(tmp_path / "nothing.txt")).setup()
    with pytest.raises(ValueError, match="level must be one of lossless_word, word, character, bpe, got 'words'"):
        TextData("text", path=path, level="words").setup()
    for limits in ({"min_count": 0}, {"max_vocabulary": 2}):
        with pytest.raises(ValueError, match="min_count must be >= 1 and max_vocabulary >= 3"):
            TextData("text", path=path, **limits).setup()
    with pytest.raises(ValueError, match="only 5 lines, the last of them line 5"):
        TextData("text", path=write("few.txt", lines(5))).setup()
    with pytest.raises(ValueError, match="only 10 lines, the last of them line 10"):
        TextData("text", path=write("ten.txt", lines(10))).setup()
    repeated = write("repeated.txt", ["a b c"] * 12)
    with pytest.raises(ValueError, match="remove the repeated lines"):
        TextData("text", path=repeated, test_path=write("other.txt", ["c b a", "a c b"]), min_count=1).setup()


def test_test_file_within_training_raises(write):
    whole = lines(60)
    path, same = write("train.txt", whole), write("same.txt", [line + "  " for line in reversed(whole)])
    with pytest.raises(ValueError, match="also in the training text") as error:
        TextData("text", path=path, test_path=same).setup()
    one_line(error, path, same, "line 1")
    part = write("part.txt", whole[5:20])
    with pytest.raises(ValueError, match="also in the training text"):
        TextData("text", path=path, test_path=part).setup()
    with pytest.raises(ValueError, match="also in the training text"):
        TextData("text", path=write("again.txt", ["the same line"] * 50)).setup()
    other = TextData("text", path=path, test_path=write("other.txt", [*lines(20, seed=1), whole[3], whole[4]]))
    assert other.metadata()["overlap"] == "2 of 22 test sentences are also in training or validation"


def test_held_out_lines_never_change(write):
    whole = [f"{line} {i}" for i, line in enumerate(lines(200))]
    path = write("train.txt", whole)
    data = TextData("text", path=path, min_count=1)
    parts = [data.splits.train, data.splits.valid, data.splits.test]
    assert [len(part) for part in parts] == [162, 18, 20]
    again = TextData("text", path=path, min_count=1, seed=3).splits
    assert torch.equal(again.valid.tokens, data.splits.valid.tokens)
    assert torch.equal(again.test.tokens, data.splits.test.tokens)
    remaining, held_out = hold_out(Rules("word").sentences(file_lines(Path(path)), path))
    assert (len(remaining), len(held_out)) == (180, 20)
    assert sorted(remaining.numbers + held_out.numbers) == list(range(1, 201))
    assert data.metadata()["overlap"] == "0 of 20 test sentences are also in training or validation"


def test_vocabulary_is_of_the_training_split(write):
    train = [" ".join(row) for row in product("abc", "ab", "ab", "abc")]
    data = TextData("text", path=write("train.txt", train), test_path=write("test.txt", ["zebra a b", "a b c zebra"]))
    assert data.vocabulary.tokens[:2] == ["<eos>", "<unk>"]
    assert set(data.vocabulary.tokens[2:]) == {" a", " b", " c"}
    assert data.splits.test.tokens.tolist()[0] == [1, *data.vocabulary.encode("a b"), 0, 0]
    assert data.splits.test.lengths.tolist() == [4, 5]
    assert data.max_length == 5
    assert "28.57% of the test tokens" in data.metadata()["unknown"]
    small = TextData("text", path=write("again.txt", train), max_vocabulary=4)
    assert set(small.vocabulary.tokens[2:]) == {" a", " b"}


def test_vocabulary_order(write):
    """Frequent tokens come first; ties are in alphabetical order."""
    train = ["c " * i + "b a" for i in range(30)]
    data = TextData("text", path=write("train.txt", train), test_path=write("test.txt", ["b a c"]))
    assert data.vocabulary.tokens == ["<eos>", "<unk>", " c", " a", " b"]


def test_blank_lines_and_crlf(write):
    path = write("mixed.txt", b"\xef\xbb\xbfname\r\n\r\n a b \r\nc\r\n")
    read = Rules("character").sentences(file_lines(Path(path)), path)
    assert read.tokens == [list("name"), ["a", " ", "b"], ["c"]]
    assert read.numbers == [1, 3, 4]


def test_lines_are_joined_within_their_file(tmp_path, write):
    """Groups of consecutive lines, the last of a file shorter; none goes over into the next file."""
    write("a.txt", ["a", "", *"bcdefg"])
    write("b.txt", [f"{i} x" for i in range(40)])
    joined = {"level": "character", "min_count": 1, "lines_per_sequence": 3}
    data = TextData("text", path=str(tmp_path), **joined)
    parts = [data.splits.train, data.splits.valid, data.splits.test]
    found = {data.vocabulary.decode(row) for part in parts for row in part.tokens}
    ends = [" / ".join(f"{i} x" for i in range(start, min(start + 3, 40))) for start in range(0, 40, 3)]
    assert found == {"a / b / c", "d / e / f", "g", *ends}
    whole = TextData.from_lines([f"{i} x" for i in range(40)], **joined)
    assert whole.vocabulary.decode(whole.splits.train.tokens[0]) in ends
    with pytest.raises(
        ValueError, match=r"a.txt line 1 to 4 has 9 tokens .* raise longest_line or lower lines_per_seq"
    ):
        TextData("text", path=str(tmp_path), longest_line=8, **joined).setup()
    with pytest.raises(ValueError, match=r"line \d+ to \d+ has \d+ tokens \(bpe level\)"):  # once words are split
        TextData(
            "text", path=str(tmp_path), longest_line=8, **{**joined, "level": "bpe", "max_vocabulary": 257}
        ).setup()


def test_lines_that_are_not_to_be_joined(tmp_path, write):
    path = write("a.txt", [f"x\t{i}" for i in range(40)])
    np.save(tmp_path / "ids.npy", np.arange(60).reshape(20, 3))
    for options, message in (
        ({"path": path, "labels": "tab"}, r"a.txt line 1 has a label, .* lines_per_sequence=2"),
        ({"path": str(tmp_path / "ids.npy")}, "an array of ids, which has no use for lines_per_sequence"),
        ({"name": "smiles"}, "'smiles' takes no lines_per_sequence"),
    ):
        with pytest.raises(ValueError, match=message):
            TextData(**{"name": "text", **options}, lines_per_sequence=2).setup()
    for n in (0, -1):
        with pytest.raises(ValueError, match="lines_per_sequence must be a whole number >= 1"):
            TextData("text", path=path, lines_per_sequence=n).setup()


@pytest.mark.parametrize(
    ("make", "name", "option"),
    [
        (TextData.from_ids, "an array in memory", "lines_per_sequence"),
        (TextData.from_ids, "an array in memory", "path"),
        (TextData.from_lines, "a list of lines", "column"),
        (TextData.from_lines, "a list of lines", "test_path"),
        (TextData.from_dataset, "a data set in memory", "path"),
    ],
)
def test_arguments_that_memory_has_no_use_for(make, name, option):
    with pytest.raises(ValueError, match=f"in memory is {name}, which has no use for {option}; leave it out"):
        make(
            ["a"] if make == TextData.from_lines else [[1, 2]], **{option: 2 if option == "lines_per_sequence" else "x"}
        )


def test_scores_equal_those_of_nltk(write):
    data = TextData("text", path=write("train.txt", lines(120)), test_path=write("test.txt", lines(30, seed=1)))
    samples = torch.cat([data.splits.valid.tokens[:6], data.splits.train.tokens[:4]])
    metrics = data.score(samples)

    def words(tokens):
        return [row[: row.index(0)] for row in tokens.tolist()]

    ours, references, smooth = words(samples), words(data.splits.test.tokens), SmoothingFunction().method1
    for n in (2, 3, 4, 5):
        weights = (1 / n,) * n
        quality = [sentence_bleu(references, row, weights, smooth) for row in ours]
        sameness = [sentence_bleu(ours[:i] + ours[i + 1 :], row, weights, smooth) for i, row in enumerate(ours)]
        assert metrics[f"bleu_{n}"] == pytest.approx(np.mean(quality))
        assert metrics[f"self_bleu_{n}"] == pytest.approx(np.mean(sameness))
    assert metrics["copied"] == pytest.approx(0.4)
    assert metrics["samples"] == 10
    references = data.reference_samples(5, torch.Generator().manual_seed(0))
    training, held_out = data.score(references["training text"]), data.score(references["held-out text"])
    assert training["copied"] == 1
    assert training["novelty_5"] == 0
    assert held_out["novelty_5"] > 0


def test_unknown_words_match_no_reference(write):
    train = write("train.txt", lines(100))
    data = TextData("text", path=train, test_path=write("test.txt", ["zebra zebra the dog", "the zebra sleeps"]))
    unknown = data.score(torch.full((3, data.max_length), data.vocabulary.unk))
    assert unknown["bleu_2"] == 0
    ids = torch.randint(4, (200, 4), generator=torch.Generator().manual_seed(0))
    first = TextData.from_ids(ids, vocabulary=["<unk>", "a", "b", "c"])  # its id is 0
    assert first.score(torch.zeros(3, 4, dtype=torch.int64))["bleu_2"] < 0.2


def test_two_spellings_of_one_text_are_the_same(write):
    """A model of byte pairs may write a word as one token or as several."""
    data = TextData("text", path=write("train.txt", lines(100)), level="bpe", max_vocabulary=290)
    vocabulary = data.vocabulary
    pairs, letters = vocabulary.encode("dog"), [*vocabulary.encode("d"), *(vocabulary.encode(c)[-1] for c in "og")]
    assert len(pairs) < len(letters)
    rows = [torch.tensor(ids + [vocabulary.eos] * (data.max_length - len(ids))) for ids in (pairs, letters)]
    assert data.score(torch.stack(rows))["distinct"] == 0.5


def test_tokens_after_eos_are_ignored(write):
    data = TextData("text", path=write("train.txt", lines(100)), test_path=write("test.txt", lines(20, seed=1)))
    samples = data.splits.valid.tokens.clone()
    clean = data.score(samples)
    padding = torch.arange(samples.shape[1]) >= data.splits.valid.lengths[:, None]
    assert data.score(samples.masked_fill(padding, 4)) == clean
    wide = torch.nn.functional.pad(samples, (0, 3), value=5)
    assert data.score(wide) == clean
    assert data.score(samples[:, : int(data.splits.valid.lengths.max())]) == clean
