"""YAML of plain values: what is read, what is refused, and what is written again."""

from __future__ import annotations

import math
import re
import time
from pathlib import Path
from typing import Any

import pytest
from gumbelzoo.pretrained.plain_yaml import MAX_BYTES, dump_yaml, parse_yaml, read_yaml

BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
REFUSED = {
    "repeated key": ("a: 1\nb: 2\na: 3", "the key 'a' is there twice (line 1 and line 3)"),
    "repeated key inside": ("m:\n  a: 1\n  a: 1", "the key 'a' is there twice (line 2 and line 3)"),
    "unfinished": ("a: [", "it is no YAML"),
    "two documents": ("a: 1\n---\nb: 2", "it is no YAML"),
    "Python object": ("a: !!python/object/apply:os.system ['id']", "not plain: python/object/apply:os.system (line 1)"),
    "bytes": ("a: !!binary aGk=", "not plain: binary"),
    "set": ("a: !!set {x}", "not plain: set"),
    "tag of its own": ("a: !own 3", "not plain: !own"),
    "number as a key": ("a: 1\n2: 3", "a key must be a text (line 2)"),
    "list as a key": ("? [a]\n: b", "a key must be a text (line 1)"),
    "number that is none": ("a: !!int x", "(line 1)"),
    "number of nothing": ("a: !!float ", "no float (line 1)"),
    "switch that is none": ("a: !!bool x", "no bool (line 1)"),
    "number of many digits": ("a: 0x" + "f" * 5000, "a whole number has more than 64 bits (line 1)"),
    "control character": ("a: \x01", "it is no YAML"),
    "half a character": ('a: "\\ud83d"', "surrogates"),
    "unknown alias": ("a: *b", "it is no YAML"),
    "alias of itself": ("a: &a [*a]", "nested too deeply"),
    "aliases that multiply": (BOMB, "more than 100000 values"),
    "merge of no mapping": ("a: {<<: 3}", "`<<` takes a mapping"),
    "deep": ("a: " + "[" * 40 + "]" * 40, "nested too deeply"),
    "deeper than the stack": ("[" * 50_000, "nested too deeply"),
}
PLAIN: list[Any] = [
    *(
        "1e3",
        "1.0",
        "2024-01-02",
        "12:30:00",
        "yes",
        "null",
        "~",
        "",
        " x",
        "a: b",
        "#",
        "{",
        "<<",
        "é\n\x85\U0001f600",
    ),
    *(1, 1e-5, 1e30, math.inf, True, None, [], {}, ["x"], {"a": {"b": 1}}),
]


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str) -> None:
    text, message = REFUSED[case]
    start = time.monotonic()
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        parse_yaml(text)
    assert "\n" not in str(error.value)
    assert time.monotonic() - start < 10


def test_numbers_and_texts() -> None:
    content = parse_yaml("a: 1e-3\nb: 1.5\nc: 5\nd: 2024-01-02\ne: '1'\nf: ~\ng: true\nh: .5e2\ni: mlp")
    assert content == {
        **{"a": 1e-3, "b": 1.5, "c": 5, "d": "2024-01-02", "e": "1", "f": None, "g": True, "h": 50.0, "i": "mlp"}
    }


def test_aliases_and_merges() -> None:
    content = parse_yaml("base: &base {a: 1, b: 2}\nother: {<<: *base, b: 3}\nlist: &list [1]\nagain: *list")
    assert content["other"] == {"a": 1, "b": 3} and content["again"] == [1]


@pytest.mark.parametrize("flow", [True, False])
def test_dump_is_read_as_the_same(flow: bool) -> None:
    shared = ["x"]
    content = {"values": PLAIN, "again": [shared, shared]}
    text = dump_yaml(content, flow)
    assert parse_yaml(text) == content and "&" not in text
    assert text.count("\n") == 1 or not flow


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "it is empty"),
        (b"# only a comment\n", "it is empty"),
        (b"- a\n", "it must map names to values, and holds a list"),
        (b"text", "it must map names to values, and holds a str"),
        ("é: 1".encode("latin-1"), "it is not UTF-8"),
        ("a: 1".encode("utf-16"), "it is not UTF-8"),
        (b"a: 1\na: 2", "the key 'a' is there twice"),
        (b"a: " + b"x" * MAX_BYTES, "it is larger than"),
    ],
)
def test_file_is_named(data: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=re.escape(f"{path}: {message}")):
        read_yaml(path)


def test_byte_order_mark_is_skipped(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_bytes("é: 1".encode("utf-8-sig"))
    assert read_yaml(tmp_path / "own.yaml") == {"é": 1}
