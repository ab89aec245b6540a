"""What commands print: on a terminal nothing that it would obey, elsewhere the text as it is; never a failure."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import gumbelzoo
import pytest
from gumbelzoo.commands.files import terminal
from gumbelzoo.commands.files.terminal import as_line, show
from gumbelzoo.commands.run_folders.card import write_card
from gumbelzoo.pretrained.untrusted import printable
from gumbelzoo.train import main

HOSTILE = ["\x1b[2J", "\x1b]0;title\x07", "a\rb", "c\nd", "\x9b31m", "\u2028", "\u202eevil"]
KEPT = "\u0645\u06cc\u200c\u0631\u0648\u0645 \U0001f468\u200d\U0001f469 \xad\xa0\u3000\ufe0f \u200f"  # joiners, spaces


class Terminal(io.StringIO):
    """Standard output that is a terminal."""

    def isatty(self) -> bool:
        return True


def shown(lines: list[str], stream: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(sys, "stdout", stream)
    show(lines)
    return stream.getvalue()


def test_joiners_are_kept_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    assert printable(KEPT) == as_line(KEPT) == KEPT
    for stream in (Terminal(), io.StringIO()):
        assert shown([KEPT, "a\tb"], stream, monkeypatch) == f"{KEPT}\na\tb\n"


def test_terminal_gets_no_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    printed = shown(HOSTILE, Terminal(), monkeypatch)
    assert len(printed.splitlines()) == len(HOSTILE)
    assert all(letter.isprintable() for letter in printed.replace("\n", ""))


def test_pipe_and_file_get_the_same(text_gan: Path) -> None:
    """And samples are one a line; the words have joiners in them."""
    command = [sys.executable, "-m", "gumbelzoo.train", "sample", "text", "-n", "50"]
    done = subprocess.run(command, capture_output=True, env={**os.environ, "PYTHONIOENCODING": "utf-8"})
    assert main(["sample", "text", "-n", "50", "--out", "b"]) == 0
    assert done.stdout == Path("b").read_bytes()
    assert "\u200c".encode() in done.stdout and "\u200d".encode() in done.stdout
    assert "\N{REPLACEMENT CHARACTER}".encode() not in done.stdout


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "latin-1:strict"])
def test_console_of_another_encoding_gets_samples(encoding: str, text_gan: Path) -> None:
    command = [sys.executable, "-m", "gumbelzoo.train", "sample", "text", "-n", "50"]
    done = subprocess.run(command, capture_output=True, env={**os.environ, "PYTHONIOENCODING": encoding})
    assert (done.returncode, done.stderr) == (0, b"")
    assert len(done.stdout.splitlines()) == 50 and b"?" in done.stdout and b"a" in done.stdout


def test_progress_is_shown_on_a_terminal(
    text_gan: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the sentences go into a file or a pipe; without a terminal nothing is shown."""
    monkeypatch.setattr(terminal, "DELAY", 0)
    for place in (["--out", "b.txt"], []):
        assert main(["sample", "text", "-n", "1200", *place]) == 0
        assert capsys.readouterr().err == ""
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stderr", screen := Terminal())
            assert main(["sample", "text", "-n", "1200", *place]) == 0
        assert "/1200" in screen.getvalue() and "sentences" in screen.getvalue()


def test_output_path_is_printable(vae: Path, capfd: Any) -> None:
    assert main(["sample", "vae", "--out", "\x1b[2J.png"]) == 0
    assert capfd.readouterr().out == "\N{REPLACEMENT CHARACTER}[2J.png\n"


def test_card_holds_samples_as_text(text_gan: Path) -> None:
    """They neither end its block of samples nor command the terminal that shows it."""
    record: dict[str, Any] = json.loads('{"command": "fit", "seed": 0, "batches": 1, "minutes": 2, "hardware": "h"}')
    record |= {"commit": "c", "metrics": {}, "data": {"file": "\x1b[2J\n# a title"}, "versions": {}, "checkpoint": "b"}
    card = write_card("tiny", gumbelzoo.load("text"), record, record, sentences=["~~~~~~", "\x1b[2J", KEPT])
    assert f"~~~~~~~text\n~~~~~~\n\N{REPLACEMENT CHARACTER}[2J\n{KEPT}\n~~~~~~~\n" in card
    assert "- file: \N{REPLACEMENT CHARACTER}\\[2J\N{REPLACEMENT CHARACTER}# a title\n" in card
    assert "\x1b" not in card
