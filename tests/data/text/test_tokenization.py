"""Tokens of text files: any script comes back as it was, and what does not fit is refused in one line."""

import json
import tempfile
import unicodedata
from pathlib import Path

import pytest
from gumbelzoo.data import TextData
from gumbelzoo.data.text import text_file, tokenization
from gumbelzoo.vocabulary import Vocabulary
from hypothesis import given, settings
from hypothesis import strategies as st

FILLER = [f"the {'very ' * (i % 4)}old dog {i % 5} of {i % 7}" for i in range(60)]
SENTENCES = {
    "Hindi": "हिन्दी में लिखा हुआ वाक्य।",
    "Thai with spaces": "ที่นี่ ภาษา ไทย",
    "Persian": "می\u200cروم به خانه\u200cها",  # noqa: RUF001
    "numbers": "3.14 or 1,000 at 10:30 from http://a.b/c",
    "quotes": "\u201cdon\u2019t,\u201d said the cat\u2019s (old) well-to-do friend",
    "emoji": "ok 👍🏿 🇩🇪🇫🇷 👩🏽\u200d🚀!",
    "Korean": "안녕하세요, 세계!",
    "Greek": "Γειά σου κόσμε\u037e",  # noqa: RUF001
}


@pytest.fixture
def write(tmp_path):
    def put(lines):
        (tmp_path / "text.txt").write_text("\n".join(lines), encoding="utf-8")
        return str(tmp_path / "text.txt")

    return put


def training_lines(data):
    return [data.vocabulary.decode(row) for row in data.splits.train.tokens]


@pytest.mark.parametrize("level", [None, "character"])
@pytest.mark.parametrize("script", SENTENCES)
def test_training_text_is_decoded_as_it_was(script, level, write):
    lines = [unicodedata.normalize("NFC", f"{SENTENCES[script]} {line}") for line in FILLER]
    data = TextData("text", path=write(lines), level=level, min_count=1)
    assert set(training_lines(data)) <= set(lines)
    assert len(set(training_lines(data))) == len(data.splits.train)
    assert data.vocabulary.encode(lines[0]).count(data.vocabulary.unk) == 0


def test_new_files_record_their_rule(write):
    """In the vocabulary, which goes into a model's configuration, and in the metadata."""
    data = TextData("text", path=write(FILLER))
    assert (data.vocabulary.level, data.vocabulary.normal_form) == ("lossless_word", "NFC")
    stored = json.loads(json.dumps(data.vocabulary.config()))
    assert Vocabulary(**stored) == data.vocabulary
    assert data.metadata()["level"] == (
        "lossless_word, 14 tokens, at most 10 in a sentence with its EOS; normal form NFC"
    )
    chosen = TextData("text", path=write(FILLER), level="word")
    assert (chosen.vocabulary.level, chosen.vocabulary.normal_form) == ("word", "NFC")
    assert "the" in chosen.vocabulary.tokens


@pytest.mark.parametrize("level", ["lossless_word", "word", "character"])
def test_two_spellings_are_one_token(level, write):
    lines = [unicodedata.normalize(("NFC", "NFD")[i % 2], f"café {line}") for i, line in enumerate(FILLER)]
    data = TextData("text", path=write(lines), level=level, min_count=1)
    assert all("café" in line for line in training_lines(data))
    assert not any("\u0301" in token for token in data.vocabulary.tokens)


@pytest.mark.parametrize("level", ["lossless_word", "word", "character"])
def test_unk_in_a_file_is_the_unknown_token(level, write):
    data = TextData("text", path=write([f"<unk> {line} <unk>" for line in FILLER]), level=level)
    assert not {"<", "unk", "<unk"} & {token.strip() for token in data.vocabulary.tokens}
    assert (data.splits.train.tokens[:, 0] == data.vocabulary.unk).all()
    assert data.metadata()["unknown"].endswith("; 120 of all are <unk> in the text itself")
    assert "<unk>" not in TextData("text", path=write(FILLER)).metadata()["unknown"]


def test_mostly_unk_in_a_file_raises(write):
    with pytest.raises(ValueError, match=r"of the tokens \(punctuation aside, from line 1 on\) are not among"):
        TextData("text", path=write([f"<unk> <unk> <unk> w{i % 9} <unk>, <unk> w{i % 7}" for i in range(60)])).setup()


def test_eos_in_a_line_raises(write):
    with pytest.raises(ValueError, match="line 5 contains <eos>, which is added to every line; remove it"):
        TextData("text", path=write([*FILLER[:4], "a dog <eos>", *FILLER[4:]])).setup()


UNSPACED = {
    "Chinese": "天地玄黃宇宙洪荒日月盈昃辰宿列張寒來暑往秋收冬藏",
    "Japanese": "いろはにほへとちりぬるをわかよたれそつねならむうゐのおくやま",
    "Thai": "กขคงจฉชซญดตถทธนบปผพฟภมยรลวสหอฮ",
    "Latin": "abcdefghijklmnopqrstuvwxyz",
}


@pytest.mark.parametrize("script", UNSPACED)
@pytest.mark.parametrize("level", [None, "word"])
def test_unspaced_text_names_the_character_level(script, level, write):
    """A full stop after each word, which is known, makes half of the tokens known."""
    letters = UNSPACED[script]
    lines = [f"{letters[i % 20 :]}{letters[: i // 5]}。" for i in range(80)]
    with pytest.raises(ValueError, match="use level=character for text without spaces between words") as error:
        TextData("text", path=write(lines), level=level).setup()
    assert "\n" not in str(error.value)
    data = TextData("text", path=write(lines), level="character")
    assert set(training_lines(data)) <= set(lines)


@pytest.mark.parametrize(
    ("limit", "value", "message"),
    [
        ("MAX_LINES", 50, "has more than 50 lines of text up to line 51; give a part of it"),
        ("MAX_TOKENS", 50, "has more than 50 tokens up to line"),
        ("MAX_TYPES", 5, "has more than 5 different tokens up to line"),
        ("MAX_STORED", 50, "the 12 tokens of the vocabulary fill more than 50 bytes; raise min_count or set max_"),
    ],
)
def test_text_beyond_a_limit_raises(limit, value, message, write, monkeypatch):
    monkeypatch.setattr(tokenization, limit, value)
    with pytest.raises(ValueError, match=message) as error:
        TextData("text", path=write(FILLER)).setup()
    assert "\n" not in str(error.value)


def test_long_line_that_pads_all_others_raises(write, monkeypatch):
    path = write([*FILLER, "the old dog " * 60])
    monkeypatch.setattr(text_file, "MAX_CELLS", 2000)
    with pytest.raises(ValueError, match=r"text\.txt line 61 are 11,041 tokens, more than 2,000; split the longest"):
        TextData("text", path=path).setup()
    monkeypatch.setattr(text_file, "MAX_CELLS", 11_041)
    assert TextData("text", path=path).max_length == 181


def test_vocabulary_limit_fits_a_release():
    """``config.json`` writes each token on a line of its own; letters beyond ASCII take up to twelve bytes."""
    from gumbelzoo.pretrained.untrusted import MAX_CONFIG_BYTES

    tokens = [f"{chr(0x1F600 + i % 50)}{i}" for i in range(1000)]
    counted = sum(len(json.dumps(token)) + 10 for token in tokens)
    written = len(json.dumps({"arguments": {"vocabulary": {"tokens": tokens}}}, indent=2))
    assert abs(written / counted - 1) < 0.02
    assert tokenization.MAX_STORED < 0.8 * MAX_CONFIG_BYTES


LINE = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=12)
LINES = st.lists(st.lists(LINE, max_size=5).map(" ".join), max_size=15, unique=True)
ANY_TEXT = settings(deadline=None, derandomize=True, max_examples=150)


def read(content, level):
    """Training lines of these bytes; an error is one line that names the file, and no line is read."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "text.txt")
        path.write_bytes("".join(f"{line}\n" for line in FILLER).encode() + content)
        data = TextData("text", path=str(path), level=level, min_count=1)
        try:
            return training_lines(data)
        except ValueError as error:
            message = str(error)
    assert str(path) in message and message.isprintable()
    return []


@ANY_TEXT
@given(LINES, st.sampled_from(["lossless_word", "character"]))
def test_any_text_comes_back_or_is_refused(lines, level):
    """Training lines are decoded as they were, up to their normal form."""
    kept = (line.strip("\ufeff").strip() for line in lines)
    kept = {unicodedata.normalize("NFC", line).strip(" ") for line in kept} | set(FILLER)
    assert set(read("\n".join(lines).encode(), level)) <= kept


@ANY_TEXT
@given(st.binary(max_size=200), st.sampled_from(["lossless_word", "word", "character"]))
def test_any_bytes_are_read_or_refused(content, level):
    read(content, level)
