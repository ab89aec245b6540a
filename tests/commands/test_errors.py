"""What is said of an error, by who raised it: ours as it is, the parser's shortened, anyone else's as unexpected."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentError
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from gumbelzoo.commands import list as listing
from gumbelzoo.commands.parsing.errors import LONGEST, exit_code, explain
from gumbelzoo.registry import Registry
from gumbelzoo.train import main

FOREIGN: dict[str, tuple[Callable[[], Any], str]] = {
    "a library's ValueError": (lambda: json.loads("{"), "unexpected JSONDecodeError: Expecting property name"),
    "torch's": (lambda: torch.zeros(2).reshape(3), "unexpected RuntimeError: shape '[3]' is invalid"),
    "a missing key": (lambda: {}["image"], "unexpected KeyError: 'image'; --debug shows where"),
    "a wrong type": (lambda: 1 + "a", "unexpected TypeError: unsupported operand"),  # type: ignore[operator]
}


def caught(action: Callable[[], Any]) -> Exception:
    with pytest.raises(Exception) as error:  # noqa: PT011
        action()
    return error.value


@pytest.mark.parametrize("case", FOREIGN)
def test_error_of_others_is_unexpected(case: str) -> None:
    error = caught(FOREIGN[case][0])
    assert explain(error).startswith(FOREIGN[case][1])
    assert explain(error).endswith("; --debug shows where")
    assert exit_code(error) == 1


def test_error_of_ours_is_said_as_it_is() -> None:
    """In one line, whatever names are in it."""
    error = caught(lambda: Registry("part")["a\nb\x1b[2J"])
    assert explain(error) == "unknown part: 'a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}[2J'; known: none"
    assert exit_code(error) == 2
    long = explain(caught(lambda: Registry("part")["x" * 100_000]))
    assert len(long) < LONGEST + 10 and long.endswith("known: none")


def test_error_of_the_system_names_the_file(tmp_path: Path) -> None:
    error = caught(lambda: tmp_path.read_text())
    assert explain(error) == f"{tmp_path}: Is a directory"
    assert exit_code(error) == 1
    assert exit_code(caught(lambda: (tmp_path / "none").read_text())) == 2


@pytest.mark.parametrize(
    "action",
    [
        lambda: torch.empty(10**14),  # more than a process can address
        lambda: bytearray(10**18),
        lambda: (_ for _ in ()).throw(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.")),
    ],
)
def test_lack_of_memory_names_what_to_make_smaller(action: Callable[[], Any]) -> None:
    error = caught(action)
    assert explain(error).startswith("not enough memory; make --data.batch_size or the model smaller: ")
    assert "\n" not in explain(error) and exit_code(error) == 1


def test_error_of_the_parser_is_shortened() -> None:
    error = ArgumentError(None, "unrecognized arguments: --sed=3")
    assert explain(error, ["--seed"]) == "unknown option '--sed=3'; did you mean '--seed'?"
    assert exit_code(error) == 2


def test_unexpected_error_of_a_command(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(listing, "run", lambda options: {}["x"])
    assert main(["list"]) == 1
    assert capfd.readouterr().err.endswith(" list: unexpected KeyError: 'x'; --debug shows where\n")
    with pytest.raises(KeyError):
        main(["list", "--debug"])


@pytest.mark.parametrize(("code", "status", "said"), [("bye", 1, "bye\n"), (3, 3, ""), (None, 0, "")])
def test_program_that_ends_itself(
    code: Any, status: int, said: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """With the status that Python itself gives to it: a text is said, and is a failure."""
    monkeypatch.setattr(listing, "run", lambda options: sys.exit(code))
    assert main(["list"]) == status
    assert capfd.readouterr().err == said
