"""Records behind a release, ``fit.json`` and ``test.json`` of a run, checked before a card states them."""

from __future__ import annotations

import shlex
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any

from ...pretrained.run_files import FIT, TEST
from ...pretrained.untrusted import first_line, read_json

if TYPE_CHECKING:
    from ..files.source import Source

TRAINED: dict[str, tuple[type, ...]] = {
    "command": (str,),
    "seed": (int,),
    "batches": (int,),
    "minutes": (int, float),
    "versions": (dict,),
    "commit": (str, NoneType),
    "hardware": (str,),
}
TESTED = TRAINED | {"metrics": (dict,), "data": (dict,), "checkpoint": (str,)}


def read_provenance(source: Source, folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read ``fit.json`` and ``test.json`` of a source's run.

    Raises:
        ValueError: one is missing or was not written by gumbelzoo, or the test is of another checkpoint.
    """
    from .runs import program

    test = _read(folder / TEST, TESTED, f"`{program()} test {_quote(folder)}` first: the card states its metrics")
    fit = _read(folder / FIT, TRAINED, f"let the run finish (--ckpt_path last): {folder} has no {FIT}")
    assert source.checkpoint is not None
    if (test["checkpoint"], test["batches"]) != (source.checkpoint.name, source.batches):
        raise ValueError(
            f"{TEST} is of another checkpoint; `{program()} test {_quote(source.checkpoint)}` measures this one"
        )
    return fit, test


def _read(path: Path, fields: dict[str, tuple[type, ...]], remedy: str) -> dict[str, Any]:
    """Read a record with these fields; ValueError naming the file and the fix."""
    from ...pretrained.config import check_test

    if not path.is_file():
        raise ValueError(f"{path} is missing; {remedy}")
    try:
        content = read_json(path)
        for name, kinds in fields.items():
            if not isinstance(content.get(name), kinds) or (name not in content):
                raise ValueError(f"'{name}' is not what gumbelzoo writes")
        check_test({**{name: content[name] for name in ("seed", "batches")}, "metrics": content.get("metrics", {})})
        check_test({"metadata": content.get("data", {})})
        _split(content["command"])
    except ValueError as error:
        raise ValueError(f"{path}: {first_line(error)}; remove it, then {remedy}") from None
    return content


def _split(command: str) -> None:
    try:
        shlex.split(command)
    except ValueError:
        raise ValueError("'command' is no command line") from None


def _quote(path: Path) -> str:
    return shlex.quote(str(path))
