"""Lines of a text file. Encoding, line ends and sizes are checked line by line, before more is read.

Errors are one line that names the file, the line and the fix.
"""

from __future__ import annotations

import codecs
import stat
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import regex

MAX_BYTES = 1 << 27  # of a file
MAX_LINE_BYTES = 1 << 20
MAX_MARKS = 30  # combining marks in a row, as in Unicode's stream-safe text; normalization is quadratic in them

WANTED = "give the path of a UTF-8 text file of one sentence a line"
LINE_ENDS = {"\n": "LF", "\r": "CR", "\v": "VT", "\f": "FF", "\x85": "NEL", "\u2028": "LS", "\u2029": "PS"}
CONTROL = regex.compile(r"[^\P{Cc}\t]|[\u2028\u2029]")
INVISIBLE = regex.compile(r"[\s\p{Default_Ignorable_Code_Point}\p{Cf}\u2800]*")
STACKED = regex.compile(rf"\p{{M}}{{{MAX_MARKS + 1}}}")


def regular_file(path: Path) -> Path:
    """Return the path of a file, with the home folder in the place of ``~``.

    Raises:
        FileNotFoundError: there is nothing.
        ValueError: it is no regular file, or larger than ``MAX_BYTES``.
    """
    try:
        path = path.expanduser()
        found = path.stat()
    except (OSError, RuntimeError, ValueError):  # also: no such user, a circle of links, a name with NUL
        raise FileNotFoundError(f"{path} is no file; {WANTED}") from None
    if not stat.S_ISREG(found.st_mode):
        kind = "a folder" if stat.S_ISDIR(found.st_mode) else "a pipe or a device"
        raise ValueError(f"{path} is {kind}; {WANTED}")
    if found.st_size > MAX_BYTES:
        raise ValueError(f"{path} has {found.st_size:,} bytes, more than {MAX_BYTES:,}; give a part of it")
    return path


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the number and the text of each line with something visible in it, without white space at its ends.

    Raises:
        ValueError: the file may not be read; or the first line that is not UTF-8, has other line ends than LF and
            CR LF, control characters or too many combining marks, or is too long.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror}); {WANTED}") from None
    with file:
        for number in count(1):
            content = file.readline(MAX_LINE_BYTES + 1)
            if not content:
                return
            place = f"{path} line {number}"
            line = clean_line(_decode(content, place), place)
            if len(content) > MAX_LINE_BYTES:
                raise ValueError(f"{place} is longer than {MAX_LINE_BYTES:,} bytes; put one sentence on each line")
            if line:
                yield number, line


def clean_line(line: str, place: str) -> str:
    """Return a line without a byte order mark and white space at its ends; empty if nothing in it is visible.

    Raises:
        ValueError: line ends within it, control characters or too many combining marks; ``place`` is named.
    """
    line = line.lstrip("\N{ZERO WIDTH NO-BREAK SPACE}").strip()
    _check(line, place)
    return "" if INVISIBLE.fullmatch(line) else line


def _decode(content: bytes, place: str) -> str:
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in content:
        found = "NUL bytes" if b"\0" in content else "a byte order mark"
        raise ValueError(f"{place} has {found}: is the file UTF-16? convert it to UTF-8")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        if len(content) > MAX_LINE_BYTES and error.end == len(content):  # the limit has cut a character
            return content[: error.start].decode()
        byte = content[error.start]
        raise ValueError(f"{place} has the byte 0x{byte:02x}, which is not UTF-8; convert the file to UTF-8") from None


def _check(line: str, place: str) -> None:
    if found := CONTROL.search(line):
        letter, code = found[0], f"U+{ord(found[0]):04X}"
        if letter in LINE_ENDS:
            ends = f"{line.count(letter):,} line ends {LINE_ENDS[letter]} ({code})"
            fix = "split it there" if letter == "\n" else "convert them to LF"  # a file has no LF within a line
            raise ValueError(f"{place} has {ends} within it; {fix}")
        raise ValueError(f"{place} has the control character {code}; remove it, or convert the file to UTF-8")
    if STACKED.search(line):
        raise ValueError(f"{place} has more than {MAX_MARKS} combining marks in a row; remove them")
