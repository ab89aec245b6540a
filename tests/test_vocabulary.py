"""Text to ids and back, and the conventions that data and models share."""

import json

import pytest
import torch
from gumbelzoo.vocabulary import Vocabulary, splitter

LINES = [
    "a man's x-ray, taken at 5:30.",
    "dogs' toys -- 'quoted' words; \"more\" (of them)!",
    "£ 12,000 for naïve café-goers ... u.s. & co_op",
    "'tis ''s . 'a",
]


def test_words_punctuation_and_hyphens():
    assert splitter("word")(LINES[0]) == ["a", "man", "'s", "x-ray", ",", "taken", "at", "5", ":", "30", "."]
    assert splitter("character")("ab c") == ["a", "b", " ", "c"]
    with pytest.raises(ValueError, match="level must be one of word, character, got 'byte'"):
        splitter("byte")("a")


@pytest.mark.parametrize("level", ["word", "character"])
@pytest.mark.parametrize("line", LINES)
def test_decoded_text_is_encoded_to_the_same_ids(line, level):
    vocabulary = Vocabulary(["<eos>", "<unk>", *sorted(set(splitter(level)(line)))], level)
    ids = vocabulary.encode(line)
    assert vocabulary.unk not in ids
    assert vocabulary.encode(vocabulary.decode(ids)) == ids
    if level == "character":
        assert vocabulary.decode(ids) == line


def test_a_sentence_reads_as_one_writes():
    vocabulary = Vocabulary(["<eos>", "<unk>", *splitter("word")("a man's wheel, red .")])
    assert vocabulary.decode(vocabulary.encode("a man's wheel, red.")) == "a man's wheel, red."


def test_special_ids():
    vocabulary = Vocabulary(["<eos>", "<unk>", "a", "b"])
    assert (vocabulary.pad, vocabulary.eos, vocabulary.unk, vocabulary.bos, len(vocabulary)) == (0, 0, 1, 4, 4)
    assert vocabulary.encode("b <eos> a") == [3, 1, 1, 1, 2]
    plain = Vocabulary(["0", "1"])
    assert (plain.pad, plain.eos, plain.unk, plain.bos) == (0, None, None, 2)
    with pytest.raises(ValueError, match="'7' is not one of the 2 tokens"):
        plain.encode("1 7")


def test_text_ends_at_the_first_end():
    vocabulary = Vocabulary(["<eos>", "<unk>", "a", "b"])
    tokens = torch.tensor([[2, 3, 0, 3], [0, 0, 0, 0], [2, 2, 2, 2], [2, 2, 2, 0]])
    assert [vocabulary.decode(row) for row in tokens] == ["a b", "", "a a a a", "a a a"]
    assert vocabulary.lengths(tokens).tolist() == [3, 1, 4, 4]
    assert Vocabulary(["0", "1"]).lengths(torch.zeros(2, 5, dtype=torch.int64)).tolist() == [5, 5]


def test_the_configuration_is_plain():
    vocabulary = Vocabulary(["<eos>", "x", "+"], "character")
    again = Vocabulary(**json.loads(json.dumps(vocabulary.config())))
    assert again == vocabulary
    assert again.encode("x+x") == [1, 2, 1]
    with pytest.raises(ValueError, match="2 different ones of 3"):
        Vocabulary(["a", "b", "a"])
    with pytest.raises(ValueError, match="level must be"):
        Vocabulary(["a"], "line")
