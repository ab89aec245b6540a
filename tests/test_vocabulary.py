"""Text to ids and back, and the conventions shared by data and models."""

import json
import time
import unicodedata

import pytest
import torch
from gumbelzoo.vocabulary import EOS, RULES, UNKNOWN, Tokenization, Vocabulary
from hypothesis import given, settings
from hypothesis import strategies as st

LINES = [
    "a man's x-ray, taken at 5:30.",
    "dogs' toys -- 'quoted' words; \"more\" (of them)!",
    "£ 12,000 for naïve café-goers ... u.s. & co_op",
    "'tis ''s . 'a",
]
# A line, and its first word and what is attached to it.
SCRIPTS = {
    "numbers": ("3.14 1,000 10:30 -5% 1\u202f000\u00a0\u20ac", ["3", ".", "14"]),
    "addresses": ("http://a.b/c?d=e&f=g me@a.b", ["http", ":", "/", "/", "a", ".", "b", "/", "c", "?", *"d=e&f=g"]),
    "apostrophes": ("don\u2019t 'tis y'all'd've rock'n'roll dogs'", ["don", "\u2019t"]),
    "quotes and brackets": (
        "(\u201cyes!\u201d) [a] {b} \u00abnon\u00bb 'c' -- \"d\"",
        ["(", "\u201c", "yes", "!", "\u201d", ")"],
    ),
    "hyphens": ("well-to-do co\u2010op \u2011 - a- -b", ["well-to-do"]),
    "Hindi": ("हिन्दी में लिखा।", ["हिन्दी"]),
    "Thai": ("ที่นี่ ภาษาไทย", ["ที่นี่"]),
    "Persian with ZWNJ": ("می\u200cروم، خانه\u200cها", ["می\u200cروم", "،"]),  # noqa: RUF001
    "Sinhala with ZWJ": ("ශ්\u200dරී ලංකා", ["ශ්\u200dරී"]),
    "emoji with modifiers": ("👩🏽\u200d🚀👍🏿 1\ufe0f\u20e3 \u2764\ufe0f", ["👩🏽\u200d🚀", "👍🏿"]),
    "flags": ("🇩🇪🇫🇷🇩 🏴\U000e0067\U000e0062\U000e007f", ["🇩🇪", "🇫🇷", "🇩"]),
    "CJK punctuation": ("你好\uff0c世界。 「はい」\u3000ー\uff01", ["你好", "\uff0c", "世界", "。"]),
    "no-break spaces": ("Bonjour\u00a0! \tend", ["Bonjour", "\u00a0", "!"]),
    "marks after nothing": ("\u0301x (\u0301 \u0301", ["\u0301x"]),
    "bidi controls": ("\u202bab\u202c \u2067cd\u2069 e\u200ff", ["\u202b", "ab", "\u202c"]),
}
WORD_CHARACTERS = st.characters(exclude_characters=" ", exclude_categories=["Cs"])
ODD = st.sampled_from(
    "'\u2019-.,:/<>()\u0301\u093f\u200c\u200d\ufe0f\U0001f3fd\U0001f1e9\u4f60\u3000\u00a0\u0600\r\n\t\ufeff"
)
SINGLE_SPACED = st.lists(st.text(WORD_CHARACTERS | ODD, min_size=1, max_size=8), max_size=6).map(" ".join)


def test_word_rule():
    """Released vocabularies keep it, with its faults."""
    split = Tokenization("word").split
    assert split(LINES[0]) == ["a", "man", "'s", "x-ray", ",", "taken", "at", "5", ":", "30", "."]
    assert split("don\u2019t cafe\u0301") == ["don", "\u2019", "t", "cafe", "\u0301"]
    vocabulary = Vocabulary([EOS, UNKNOWN, "3", ".", "14"])
    assert vocabulary.decode(vocabulary.encode("3.14")) == "3. 14"


def test_character_rule():
    assert Tokenization("character").split("ab c\u0301") == ["a", "b", " ", "c", "\u0301"]


@pytest.mark.parametrize("level", RULES)
@pytest.mark.parametrize("line", LINES)
def test_decode_then_encode(line, level):
    """Decoded text has the same ids again."""
    vocabulary = Vocabulary([EOS, UNKNOWN, *sorted(set(Tokenization(level).split(line)))], level)
    ids = vocabulary.encode(line)
    assert vocabulary.unk not in ids
    assert vocabulary.encode(vocabulary.decode(ids)) == ids
    if level != "word":
        assert vocabulary.decode(ids) == line


@pytest.mark.parametrize("script", SCRIPTS)
def test_lossless_tokens_of(script):
    line, (first, *attached) = SCRIPTS[script]
    tokens = Tokenization("lossless_word").split(line)
    assert tokens[: 1 + len(attached)] == [f" {first}", *attached]
    vocabulary = Vocabulary([EOS, UNKNOWN, *sorted(set(tokens))], "lossless_word", "NFC")
    assert vocabulary.decode(vocabulary.encode(line)) == line


def check_lossless(line):
    """Encoding and decoding gives the line in its normal form, and joined tokens are found again."""
    for form in (None, "NFC"):
        tokens = Tokenization("lossless_word", form).split(line)
        vocabulary = Vocabulary([EOS, UNKNOWN, *sorted(set(tokens) - {UNKNOWN})], "lossless_word", form)
        ids = vocabulary.encode(line)
        decoded = vocabulary.decode(ids)
        assert vocabulary.encode(decoded) == ids
        if UNKNOWN not in line:
            assert vocabulary.unk not in ids
            assert decoded == (unicodedata.normalize(form, line) if form else line)


@settings(deadline=None, derandomize=True, max_examples=300)
@given(SINGLE_SPACED)
def test_lossless_rule_on_any_line(line):
    check_lossless(line)


def test_lossless_rule_on_every_character():
    """Of those that Unicode has assigned: in a row, and each between a letter and a mark."""
    letters = [letter for letter in map(chr, range(0x110000)) if unicodedata.category(letter) not in ("Cn", "Co", "Cs")]
    letters.remove(" ")
    for first in range(0, len(letters), 1000):
        check_lossless("".join(letters[first : first + 1000]))
        check_lossless(" ".join(f"a{letter}\u0301" for letter in letters[first : first + 1000]))


def test_lossless_rule_takes_linear_time():
    """Flags, hyphens, marks, spaces: a hundred thousand in a row take less than a second."""
    split = Tokenization("lossless_word").split
    start = time.monotonic()
    for part in ("\U0001f1e9", "-", "a-", "\u0301", "' ", "  ", "<", "\u0600", "\u1100", "\u0915\u094d", "👩\u200d"):
        assert "".join(split(part * 100_000)).strip() == (part * 100_000).strip()
    assert time.monotonic() - start < 10


def test_spaces_of_lossless_tokens():
    """Those at the ends of a line are dropped, so that a prefix may end in one; others are kept."""
    tokenization = Tokenization("lossless_word")
    assert tokenization.split("  a man ") == [" a", " man"]
    assert tokenization.join(tokenization.split("a  b   .")) == "a  b   ."
    assert tokenization.split(" ") == tokenization.split("") == []
    assert tokenization.join([".", " a"]) == ". a"


@pytest.mark.parametrize("level", RULES)
def test_normal_form(level):
    """A vocabulary in NFC knows composed and decomposed letters as one token; without a form they stay two."""
    line, other = "caf\u00e9", "cafe\u0301"
    tokens = Tokenization(level).split(line)
    composed = Vocabulary([EOS, UNKNOWN, *tokens], level, "NFC")
    assert composed.encode(other) == composed.encode(line)
    assert composed.decode(composed.encode(other)) == line
    assert Vocabulary([EOS, UNKNOWN, *tokens], level).encode(other) != composed.encode(line)
    with pytest.raises(ValueError, match="normal_form must be NFC or none, got 'NFKC'"):
        Vocabulary(["a"], level, "NFKC")


@pytest.mark.parametrize("level", RULES)
def test_unk_in_a_line_is_the_unknown_token(level):
    """In text, in decoded text, but not in a prefix."""
    vocabulary = Vocabulary([EOS, UNKNOWN, *Tokenization(level).split("a b")], level)
    ids = vocabulary.encode("a <unk> b")
    assert ids.count(vocabulary.unk) == 1
    assert vocabulary.decode(ids) == "a <unk> b"
    with pytest.raises(ValueError, match="<unk> stands for every unknown word"):
        vocabulary.check("a <unk>" if level != "character" else "a<unk>")
    with pytest.raises(ValueError, match="'<unk>' is not one of the 2 tokens"):
        Vocabulary(["0", "1"], level).check("<unk>")


def test_decoded_punctuation():
    """The word rule puts no spaces before punctuation marks and apostrophes."""
    vocabulary = Vocabulary([EOS, UNKNOWN, *Tokenization("word").split("a man's wheel, red .")])
    assert vocabulary.decode(vocabulary.encode("a man's wheel, red.")) == "a man's wheel, red."


def test_special_ids():
    vocabulary = Vocabulary([EOS, UNKNOWN, "a", "b"])
    assert (vocabulary.pad, vocabulary.eos, vocabulary.unk, vocabulary.bos, len(vocabulary)) == (0, 0, 1, 4, 4)
    assert vocabulary.encode("b <eos> a") == [3, 1, 1, 1, 2]
    plain = Vocabulary(["0", "1"])
    assert (plain.pad, plain.eos, plain.unk, plain.bos) == (0, None, None, 2)
    with pytest.raises(ValueError, match="'7' is not one of the 2 tokens"):
        plain.encode("1 7")


@pytest.mark.parametrize("level", RULES)
def test_unknown_token_is_named_printably(level):
    with pytest.raises(ValueError, match="is not one of the 2 tokens") as error:
        Vocabulary([EOS, UNKNOWN], level).check("\x1b[2J\u202e")
    assert str(error.value).isprintable()


def test_text_ends_at_the_first_eos():
    vocabulary = Vocabulary([EOS, UNKNOWN, "a", "b"])
    tokens = torch.tensor([[2, 3, 0, 3], [0, 0, 0, 0], [2, 2, 2, 2], [2, 2, 2, 0]])
    assert [vocabulary.decode(row) for row in tokens] == ["a b", "", "a a a a", "a a a"]
    assert vocabulary.lengths(tokens).tolist() == [3, 1, 4, 4]
    assert Vocabulary(["0", "1"]).lengths(torch.zeros(2, 5, dtype=torch.int64)).tolist() == [5, 5]


def test_config_is_plain_json():
    """It records the rule and the normal form."""
    vocabulary = Vocabulary([EOS, " x", "+"], "lossless_word", "NFC")
    assert vocabulary.config() == {"tokens": [EOS, " x", "+"], "level": "lossless_word", "normal_form": "NFC"}
    again = Vocabulary(**json.loads(json.dumps(vocabulary.config())))
    assert again == vocabulary
    assert again.encode("x+") == [1, 2]
    assert again != Vocabulary([EOS, " x", "+"], "lossless_word") != Vocabulary([EOS, " x", "+"])
    with pytest.raises(ValueError, match="2 different ones of 3"):
        Vocabulary(["a", "b", "a"])
    with pytest.raises(ValueError, match="level must be one of lossless_word, word, character, bpe, got 'line'"):
        Vocabulary(["a"], "line")
