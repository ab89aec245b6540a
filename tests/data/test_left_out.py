"""What is left out is named in a few lines that no file name can break."""

from __future__ import annotations

import pytest
from gumbelzoo.data.left_out import SHOWN, some, summary, tell


def test_names_are_printable_and_joiners_stay(capsys: pytest.CaptureFixture[str]) -> None:
    """A control in a file name is no command; a joiner belongs to the word."""
    left_out = {"esc\x1b[2J": "no picture", "می\u200cروم.png": "empty", "": "broken"}
    tell("place", left_out)
    assert capsys.readouterr().err.splitlines() == [
        "left out: esc\N{REPLACEMENT CHARACTER}[2J (no picture)",
        "left out: می\u200cروم.png (empty)",
        "left out: place (broken)",
    ]
    assert summary({"a\n": "b"}, "arrays") == "1 arrays: a\N{REPLACEMENT CHARACTER} (b)" and summary({}) == ""


def test_many_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    left_out = {str(number): "empty" for number in range(SHOWN + 1_500)}
    tell("place", left_out)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == SHOWN + 1 and lines[-1] == "left out: 1,500 more in place"
    assert summary(left_out).endswith("4 (empty) and 1,515 more")
    assert some(["a", "b"]) == "a, b"
