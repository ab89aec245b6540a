"""Texts of all scripts and encodings as training files, prefixes and vocabularies."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import gumbelzoo
import pytest
from gumbelzoo.data import TextData
from gumbelzoo.tests.properties.harness import check, command, contents, examples, refusal
from gumbelzoo.vocabulary import EOS, RULES, UNKNOWN, Vocabulary
from hypothesis import strategies as st

# Letters of many scripts with their marks, joiners and directions; numbers; what looks like our own tokens.
SCRIPTS = [
    *("\u0915\u094d\u0937\u093f", "\u0e17\u0e35\u0e48", "\u0645\u06cc\u200c\u0631\u0648\u0645", "\u05e9\u05c1\u05dc"),
    *("\u0dc1\u0dca\u200d\u0dbb\u0dd3", "\u4f60\u597d", "\u1112\u1161\u11ab", "\ud55c", "e\u0301", "\u00e9", "\u0344"),
    *("\u2126", "\ufb01", "\u0b95\u0bca", "\U0001d15e", "\U0001f469\U0001f3fd\u200d\U0001f680", "\U0001f1e9\U0001f1ea"),
    *("\u0f71\u0f72", "\u0130", "\u1e9e", "\u01c5", "\u202bab\u202c", "\u2067c\u2069", "\u200f", "\u0600\u0661"),
    *("3.14", "1,000", "10:30", "http://a.b/c?d", "don't", "don\u2019t", "x-ray", "\u2011", "'s", "--", "<", ">"),
    *("<unk>", "<unk", "unk>", "<eos", "eos>", "\u00a0", "\u3000", "\t", "\u00ad", "\u2060", "\U000e0041", "\ufffe"),
]
CHARACTERS = st.characters(exclude_characters=" ", exclude_categories=["Cs", "Cc", "Zl", "Zp"])
WORDS = st.lists(st.sampled_from(SCRIPTS) | CHARACTERS, min_size=1, max_size=6).map("".join)
LINES = st.lists(WORDS, min_size=1, max_size=6).map(" ".join)
ANY = st.text(st.characters() | st.sampled_from("\0\r\n\v\f\x1b\x85\u2028\ufeff\ud800\udfff "), max_size=30)
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1", "cp1252", "shift-jis")
ENDS = ("\n", "\r\n", "\r", "\n\r", "\n\n", "\v", "\f", "\x85", "\u2028", "\0\n", "")
FILES = st.one_of(
    st.binary(max_size=200),
    st.tuples(st.lists(LINES | ANY, max_size=20), st.sampled_from(ENDS), st.sampled_from(ENCODINGS)).map(
        lambda parts: parts[1].join(parts[0]).encode(parts[2], "replace")
    ),
    st.tuples(st.lists(LINES, min_size=11, max_size=40), st.integers(0, 3)).map(
        lambda parts: ("\n".join(parts[0]) + "\n" * parts[1]).encode("utf-8")
    ),
    st.tuples(LINES | ANY, st.integers(1, 2000)).map(
        lambda parts: f"{parts[0]}\n".encode("utf-8", "replace") * parts[1]
    ),
)


@pytest.mark.parametrize("level", RULES)
@examples(15, 2000)
def test_text_file_is_learned_whole_or_refused(examples: int, level: str, tmp_path: Path) -> None:
    """With all tokens known, every line of training comes back as it was, but for its normal form."""
    path = tmp_path / "text.txt"

    def holds(content: bytes) -> None:
        path.write_bytes(content)
        data = TextData("text", path=str(path), level=level, min_count=1)
        if refusal(data.setup, names=str(path)) is not None:
            return
        lines = {" ".join(line.split()) for line in _lines(content)}
        vocabulary = data.vocabulary
        assert Vocabulary(**vocabulary.config()) == vocabulary
        for row in data.splits.train.tokens:
            ids = row[: int(vocabulary.lengths(row[None]))].tolist()
            line = vocabulary.decode(row)
            if level != "word":
                assert UNKNOWN in line or " ".join(line.split()) in lines, ascii(line)
                assert vocabulary.encode(line) == [token for token in ids if token != vocabulary.eos]
        assert contents(tmp_path) == {"text.txt": content}

    check(examples, holds, FILES)


def _lines(content: bytes) -> list[str]:
    return [
        unicodedata.normalize("NFC", line.lstrip("\ufeff").strip()) for line in content.decode("utf-8-sig").split("\n")
    ]


@pytest.mark.parametrize("level", ["lossless_word", "character"])
@examples(50, 5000)
def test_decoded_line_is_the_line(examples: int, level: str) -> None:
    def holds(line: str) -> None:
        vocabulary = Vocabulary([EOS, UNKNOWN], level, "NFC")
        tokens = set(vocabulary.tokenization.split(line)) - {EOS, UNKNOWN}
        vocabulary = Vocabulary([EOS, UNKNOWN, *sorted(tokens)], level, "NFC")
        ids = vocabulary.encode(line)
        if level == "character" or UNKNOWN not in line:
            assert vocabulary.decode(ids) == unicodedata.normalize("NFC", line)
        assert vocabulary.encode(vocabulary.decode(ids)) == ids
        assert (vocabulary.unk in ids) == (UNKNOWN in line)

    check(examples, holds, LINES)


@examples(15, 500)
def test_prefix_is_taken_or_refused(examples: int, workspace: Path) -> None:
    tokens = [EOS, UNKNOWN, *sorted(set(SCRIPTS) - {UNKNOWN})]
    levels = {}
    for level in RULES:
        arguments = {"vocabulary": {"tokens": tokens, "level": level}, "max_length": 5}
        model = gumbelzoo.create_model("text_gan", **arguments, generator={"name": "lstm", "width": 4, "hidden": 4})
        levels[level] = str(gumbelzoo.save_pretrained(model, workspace / level))
    before = contents(workspace)

    def holds(given: tuple[str, str]) -> None:
        level, prefix = given
        command(["sample", levels[level], "-n", "2", f"--prefix={prefix}"])
        assert contents(workspace) == before

    check(examples, holds, st.tuples(st.sampled_from(sorted(levels)), LINES | ANY))
