"""Byte-pair encoding: any text comes back, and tokens are those of the library that learns them."""

import copy
import json
import pickle
import unicodedata

import pytest
from gumbelzoo.byte_pairs import LETTERS, LONGEST, BytePairs, characters, join_pieces, split_pieces
from gumbelzoo.data.text.bpe import learn_tokens
from gumbelzoo.vocabulary import BPE, EOS, Vocabulary
from hypothesis import example, given, settings
from hypothesis import strategies as st

TEXT = [
    "a man's x-ray, taken at 5:30 on the 12,000th day",
    "the naïve café-goers don\u2019t sit -- they stand... (all of them!)",
    "你好世界 हिन्दी में लिखा 👩🏽\u200d🚀 and the man's day",
]


def learned(size=330):
    """A vocabulary of the text above."""
    tokens = learn_tokens([split_pieces(line) for line in TEXT * 3], size, 2)
    return Vocabulary([EOS, *tokens], BPE, "NFC")


VOCABULARY = learned()
CHARACTERS = VOCABULARY.characters()


@settings(deadline=None, derandomize=True, max_examples=200)
@given(
    st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("the man's 0\t\n  \u0301\u200d<>"), max_size=40)
)
@example("")
@example("<eos> <unk>")
@example("  a  b ")
def test_any_line_is_decoded_as_it_was(line):
    """In its normal form, and without spaces at its ends; lines are as long as their tokens say."""
    ids = VOCABULARY.encode(line)
    kept = unicodedata.normalize("NFC", line).strip(" ")
    assert VOCABULARY.decode(ids) == kept
    assert VOCABULARY.encode(kept) == ids
    assert all(0 < number < len(VOCABULARY) for number in ids)
    if ids:
        assert sum(CHARACTERS[number] for number in [*ids, VOCABULARY.eos]) == len(kept) + 1


def test_letters_are_one_for_each_byte():
    """All of them visible, so that a token is a line of a file."""
    assert len(set(LETTERS)) == 256
    assert all(letter.isprintable() and not letter.isspace() for letter in LETTERS)
    assert join_pieces(LETTERS[byte] for byte in "né 你".encode()) == "né 你"


def test_frequent_words_are_one_token():
    assert {"Ġman", "Ġthe"} <= set(VOCABULARY.tokens)
    assert VOCABULARY.split("the man") == ["Ġthe", "Ġman"]
    assert VOCABULARY.tokens[:4] == [EOS, "!", '"', "#"]
    assert (VOCABULARY.eos, VOCABULARY.unk, VOCABULARY.pad) == (0, None, 0)


def test_earliest_token_is_merged_first():
    """Of two ways to join neighbours, that of the token which was learned first."""
    assert BytePairs([*LETTERS, "ab", "bc", "abc"]).split("abcbc") == ["abc", "bc"]
    assert BytePairs([*LETTERS, "bc", "ab", "cbc"]).split("abcbc") == ["a", "bc", "bc"]
    assert BytePairs([*LETTERS, "aa"]).split("aaaaa") == ["aa", "aa", "a"]


def test_tokens_are_those_of_the_library():
    """Merging by order gives what the library's list of pairs gives, on its training text and on other text."""
    tokenizers = pytest.importorskip("tokenizers")
    words = [split_pieces(line) for line in TEXT * 3]
    theirs = tokenizers.Tokenizer(tokenizers.models.BPE())
    theirs.pre_tokenizer = tokenizers.pre_tokenizers.Split("\n", "removed")
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=330, min_frequency=2, initial_alphabet=LETTERS, show_progress=False
    )
    theirs.train_from_iterator(map("\n".join, words), trainer)
    for line in [*TEXT, "then the others stood, all 12 of them: a 世界 of naïveté"]:
        assert VOCABULARY.split(line) == theirs.encode("\n".join(split_pieces(line))).tokens
    assert learned() == VOCABULARY


def test_samples_that_are_no_utf8_are_decoded():
    """A model may write any bytes."""
    assert VOCABULARY.decode([VOCABULARY.ids[LETTERS[byte]] for byte in b"\xff a\x80"]) == "\ufffd a\ufffd"
    assert VOCABULARY.decode([VOCABULARY.ids["a"], 0, 5]) == "a"


def test_long_words_are_split_into_pieces():
    """So that the time is linear in a line without spaces."""
    line = "a" * 200_000
    assert max(map(len, split_pieces(line))) == LONGEST
    assert VOCABULARY.decode(VOCABULARY.encode(line)) == line


def test_characters_of_a_token():
    assert [characters("".join(LETTERS[byte] for byte in part)) for part in (b" a", "né".encode(), b"\xbd\xa0")] == [
        2,
        2,
        0,
    ]


def test_vocabulary_is_plain_and_copied():
    """Of its configuration nothing but the order of tokens is needed; copies encode alike."""
    again = Vocabulary(**json.loads(json.dumps(VOCABULARY.config())))
    assert set(VOCABULARY.config()) == {"tokens", "level", "normal_form"}
    for other in (again, copy.deepcopy(VOCABULARY), pickle.loads(pickle.dumps(VOCABULARY))):
        assert other == VOCABULARY and other.encode(TEXT[2]) == VOCABULARY.encode(TEXT[2])


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        ([EOS, "a", "b"], "has a token for each of the 256 bytes, this lacks 254"),
        ([EOS, *LETTERS, "a b"], "'a b' is no token of level bpe"),
        ([EOS, *LETTERS, "你好"], "is no token of level bpe, which are written in letters for bytes"),
        ([EOS, *LETTERS, ""], "'' is no token of level bpe"),
    ],
)
def test_impossible_tokens_raise(tokens, message):
    with pytest.raises(ValueError, match=message) as error:
        Vocabulary(tokens, BPE)
    assert "\n" not in str(error.value)


def test_half_a_character_raises():
    with pytest.raises(ValueError, match=r"half a character, U\+DC80; remove it"):
        VOCABULARY.encode("a \udc80")
