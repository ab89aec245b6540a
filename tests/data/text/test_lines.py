"""Text files that do not fit: each is one line that names the file, the line and the fix, before more is read."""

import os
import time
import tracemalloc
from pathlib import Path

import pytest
from gumbelzoo.data import TextData
from gumbelzoo.data.text import lines

TEXT = [f"the {'very ' * (i % 4)}old dog {i % 5} of {i % 7}" for i in range(60)]
GREEK = "\u03b1\u03b2\u03b3 \u03b4"


def refused(path, *parts):
    """Read a file that is refused: the message is one line with these parts."""
    with pytest.raises((ValueError, FileNotFoundError)) as error:
        TextData("text", path=str(path)).setup()
    message = str(error.value)
    assert "\n" not in message
    for part in (str(path), *parts):
        assert part in message
    return message


def at_line_31(line):
    return "\n".join([*TEXT[:30], line, *TEXT[30:]])


ENCODINGS = {
    "utf-16": "line 1 has NUL bytes: is the file UTF-16? convert it to UTF-8",
    "utf-16-le": "line 1 has NUL bytes: is the file UTF-16?",
    "utf-16-be": "line 1 has NUL bytes: is the file UTF-16?",
    "utf-32": "line 1 has NUL bytes",
    "latin-1": "line 31 has the byte 0xe9, which is not UTF-8; convert the file",
    "cp1252": "line 31 has the byte 0xe9, which is not UTF-8",
    "shift-jis": "line 31 has the byte 0x83, which is not UTF-8",
    "gb18030": "line 31 has the byte 0xa6, which is not UTF-8",
    "iso2022-jp": "line 31 has the control character U+001B; remove it, or convert the file",
}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_other_encodings_raise(encoding, tmp_path):
    path = tmp_path / "text.txt"
    path.write_bytes(at_line_31("caf\u00e9" if encoding in ("latin-1", "cp1252") else GREEK).encode(encoding))
    refused(path, ENCODINGS[encoding])


def test_utf16_without_nul_bytes_raises(tmp_path):
    path = tmp_path / "text.txt"
    path.write_bytes(b"\xff\xfe" + "\u4f60\u597d\u0a0d\u4e16".encode("utf-16-le"))
    refused(path, "line 1 has a byte order mark: is the file UTF-16?")


def test_utf8_with_and_without_mark_is_the_same(tmp_path):
    """Also where files that begin with marks were joined."""
    plain, marked = tmp_path / "plain.txt", tmp_path / "marked.txt"
    plain.write_text("\n".join(TEXT), encoding="utf-8")
    marked.write_text("\ufeff" + at_line_31("\ufeff \ufeff").replace(TEXT[40], "\ufeff" + TEXT[40]), encoding="utf-8")
    whole = [TextData("text", path=str(path)).splits for path in (plain, marked)]
    assert whole[0].vocabulary == whole[1].vocabulary
    assert (whole[0].train.tokens == whole[1].train.tokens).all()


@pytest.mark.parametrize("end", ["\r", "\v", "\f", "\x85", "\u2028", "\u2029"])
def test_other_line_ends_raise(end, tmp_path):
    """However few tokens a line has, and however long the file is."""
    path = tmp_path / "text.txt"
    code = f"(U+{ord(end):04X}) within it; convert them to LF"
    path.write_bytes(end.join(TEXT).encode())
    refused(path, "line 1 has 59 line ends", code)
    path.write_bytes(end.join(TEXT * 1000).encode())
    refused(path, "line 1 has", "line ends", code)
    path.write_bytes(at_line_31(f"a dog{end}the dog").encode())
    refused(path, "line 31 has 1 line ends", code)


def test_usual_line_ends_are_the_same(tmp_path):
    """LF, CR LF, CR CR LF, a form feed on a line of its own."""
    vocabularies = []
    for name, end in enumerate(("\n", "\r\n", "\r\r\n", "\n\f\n", " \t\n")):
        path = tmp_path / f"{name}.txt"
        path.write_bytes(end.join(TEXT).encode())
        vocabularies.append(TextData("text", path=str(path)).vocabulary)
    assert vocabularies == vocabularies[:1] * 5


@pytest.mark.parametrize("letter", ["\x1b", "\x08", "\x7f", "\x92", "\x1c"])
def test_control_characters_raise(letter, tmp_path):
    """They are other encodings, or commands to a terminal."""
    path = tmp_path / "text.txt"
    path.write_text(at_line_31(f"a{letter}b"), encoding="utf-8")
    refused(path, f"line 31 has the control character U+{ord(letter):04X}; remove it")


def test_nul_within_a_file_raises(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text(at_line_31("a\0b"), encoding="utf-8")
    refused(path, "line 31 has NUL bytes")


@pytest.mark.parametrize(
    "blank", ["\u200b", "\u200e\u202e", "\u2060\u00ad", "\u3164", "\u00a0\u3000", "\u2800", "\ufe0f"]
)
def test_invisible_lines_are_blank(blank, tmp_path):
    path = tmp_path / "text.txt"
    path.write_text(at_line_31(blank), encoding="utf-8")
    assert TextData("text", path=str(path)).metadata()["split"].startswith("49 training, 5 validation, 6 test")
    path.write_text("\n".join([blank] * 60), encoding="utf-8")
    refused(path, "has no text in it")


def test_stacked_marks_raise(tmp_path):
    """Normalizing them takes quadratic time: a line of these would take hours."""
    path = tmp_path / "text.txt"
    path.write_text(at_line_31("a" + "\u0316\u0301" * 200_000), encoding="utf-8")
    start = time.monotonic()
    refused(path, "line 31 has more than 30 combining marks in a row")
    assert time.monotonic() - start < 5


def test_special_files_raise(tmp_path):
    """At once: reading a pipe would wait for ever."""
    os.mkfifo(tmp_path / "pipe.txt")
    (tmp_path / "link.txt").symlink_to(tmp_path / "link.txt")
    refused(tmp_path / "pipe.txt", "is a pipe or a device; give the path of a UTF-8 text file")
    refused("/dev/zero", "is a pipe or a device")
    refused(tmp_path, "pipe.txt is a pipe or a device")  # a folder is read file by file, without the link to nothing
    for path in (
        tmp_path / "no.txt",
        tmp_path / "link.txt",
        tmp_path / "no/no.txt",
        "~nobody-here/a.txt",
        "a\0b",
        "a" * 5000,
    ):
        refused(path, "is no file; give the path of")


def test_file_that_may_not_be_read_raises(tmp_path, monkeypatch):
    path = tmp_path / "text.txt"
    path.write_text("a")

    def deny(*args):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", deny)
    refused(path, "cannot be read (Permission denied); give the path")


def test_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "text.txt").write_text("\n".join(TEXT))
    assert TextData("text", path="~/text.txt").metadata()["source"] == "text.txt"


def test_large_file_raises_before_it_is_read(tmp_path):
    path = tmp_path / "text.txt"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    refused(path, f"has {1 << 40:,} bytes, more than {lines.MAX_BYTES:,}; give a part of it")


@pytest.mark.parametrize("letter", ["a", "a ", "\u4f60", " ", "\u200b"])
def test_long_line_raises_before_it_is_read(letter, tmp_path):
    """Whether the limit cuts a character or not."""
    path = tmp_path / "text.txt"
    path.write_text(letter * (24_000_000 // len(letter.encode())), encoding="utf-8")
    tracemalloc.start()
    refused(path, f"line 1 is longer than {lines.MAX_LINE_BYTES:,} bytes; put one sentence on each line")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 << 20
