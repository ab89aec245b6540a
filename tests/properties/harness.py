"""What holds for everything that strangers give: taken or refused in one line, nothing run, nothing else written.

A property is an inner function, run by ``check`` on examples that do not change from run to run: few in ``make test``,
thousands in ``make test-all``.
"""

from __future__ import annotations

import contextlib
import dis
import io
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from gumbelzoo.commands.parsing.errors import exit_code, explain
from gumbelzoo.pretrained.untrusted import printable
from gumbelzoo.train import main
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis.strategies import SearchStrategy

SECONDS = 20.0  # longest time that an input may take
LONGEST = 2000  # characters of a message
# Python's events that an input must not cause.
EXECUTED = ("os.system", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "subprocess.Popen", "pty.spawn")
NETWORK = ("socket.connect", "socket.getaddrinfo")

_seen: list[str] | None = None  # forbidden events, while they are recorded


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if _seen is not None and (event in EXECUTED or event in NETWORK):
        _seen.append(f"{event} {arguments[:2]}")


sys.addaudithook(_audit)


@contextlib.contextmanager
def nothing_executed() -> Iterator[None]:
    """No program is started and no connection is made inside."""
    global _seen
    _seen = []
    try:
        yield
    finally:
        found, _seen = _seen, None
    assert found == []


def examples(few: int, many: int) -> pytest.MarkDecorator:
    """Give a test the number of its ``examples``: few, and many where it is slow."""
    return pytest.mark.parametrize(
        "examples", [pytest.param(few, id="few"), pytest.param(many, id="many", marks=pytest.mark.slow)]
    )


def check(examples: int, holds: Callable[..., None], strategy: SearchStrategy[Any], kept: Iterable[Any] = ()) -> None:
    """Run a property on the inputs that once failed, and on ``examples`` drawn ones, the same every time."""

    def timed(given: Any) -> None:
        start = time.process_time()  # other work on the machine does not count
        holds(given)
        assert time.process_time() - start < SECONDS

    timed.__name__ = holds.__qualname__.partition(".")[0]  # examples depend on it
    phases = [Phase.explicit, Phase.generate, Phase.shrink]
    checks = list(HealthCheck)
    test = given(strategy)(timed)
    for value in kept:
        test = example(value)(test)
    settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        phases=phases,
        suppress_health_check=checks,
        print_blob=False,
    )(test)()


def refusal(action: Callable[[], object], names: str = "") -> str | None:
    """Return the line in which an action refuses its input, or None if it takes it.

    Args:
        action: reads the input.
        names: text that the line must have in it, such as the file.
    """
    error = None
    try:
        with nothing_executed():
            action()
    except Exception as raised:
        error = raised
    if error is None:
        return None
    assert is_ours(error), f"another's words: {error!r}"
    assert exit_code(error) == 2, repr(error)
    assert_one_line(said := explain(error))
    assert names in said, said
    return said


def is_ours(error: BaseException) -> bool:
    """True for an error that a ``raise`` of the package raises, and not a function that the package calls."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    assert last is not None
    instruction = dis.opname[frame.f_code.co_code[last.tb_lasti]]
    return instruction.startswith(("RAISE", "RERAISE")) and frame.f_globals["__name__"].startswith("gumbelzoo.")


def assert_one_line(said: str) -> None:
    """What is said is one line of reasonable length that a terminal only shows."""
    assert said.strip() and "\n" not in said and "Traceback" not in said
    assert len(said) <= LONGEST, len(said)
    assert printable(said) == said or said.isprintable(), ascii(said)


def command(arguments: list[str], codes: Iterable[int] = (0, 2)) -> str:
    """Run a command of the program, and return what it says on stderr: nothing, or one line or two of ours."""
    errors = io.StringIO()
    with nothing_executed(), contextlib.redirect_stderr(errors), contextlib.redirect_stdout(io.StringIO()):
        code = main(list(arguments))
    said = errors.getvalue()
    assert code in codes, f"{code}: {said}"
    assert "Traceback" not in said and "unexpected" not in said, said
    if code:
        assert 1 <= len(said.splitlines()) <= 2, said
    assert all(len(line) <= LONGEST for line in said.splitlines())
    assert printable(said.replace("\n", "").replace("\r", "")) == said.replace("\n", "").replace("\r", ""), ascii(said)
    return said


def contents(folder: Path) -> dict[str, object]:
    """Names, links and bytes of all files below a folder."""
    return {
        str(path.relative_to(folder)): path.readlink() if path.is_symlink() else path.is_file() and path.read_bytes()
        for path in folder.rglob("*")
    }
