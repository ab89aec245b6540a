"""A user's mistake in one or two lines: what is wrong, and the nearest right thing."""

from __future__ import annotations

import difflib
import importlib
import inspect
import re
from argparse import ArgumentError
from collections.abc import Iterable

NOISE = re.compile(
    r"Expected a <class 'NoneType'>|Does not validate|Subtypes:|Errors:|Given value|Problem with given|^$"
)


def near(name: str, known: Iterable[str]) -> str:
    """``; did you mean 'x'?`` or nothing. Of a dotted name that is unknown as a whole the first part is mended."""
    known = list(known)
    best = difflib.get_close_matches(name, known, n=1, cutoff=0.8)
    head, dot, tail = name.partition(".")
    if not best and dot:
        best = [f"{first}.{tail}" for first in difflib.get_close_matches(head, known, n=1)]
    best = best or difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"; did you mean '{best[0]}'?" if best else ""


def exit_code(error: BaseException) -> int:
    """2 for what the user can say differently, 1 for what went wrong while running."""
    return 2 if isinstance(error, (ArgumentError, ValueError, FileNotFoundError)) else 1


def explain(error: BaseException, known: Iterable[str] = (), classes: Iterable[str] = ()) -> str:
    """The one useful line of an error.

    Args:
        error: ours, the parser's, torch's or Python's.
        known: options the parser takes, for the nearest one.
        classes: names that ``class_path`` takes.
    """
    text = str(error).strip()
    if match := re.search(r"arguments are required: (.*)", text):
        missing = " and ".join(part.split(".")[-1] for part in match[1].split(", "))
        if not set(missing.split(" and ")) <= {"model", "data", "class_path"}:
            return f"nothing says which {missing} to use; --help tells what it is, `list` names released models"
        return f"nothing says which {missing} to use; add --config configs/catvae_digits.yaml (`list` names the others)"
    if match := re.search(r"Option '([\w.]+)' is not accepted", text):
        owner = re.search(r"given class_path '([\w.]+)'", text)
        keys = _arguments(owner[1]) if owner else list(known)
        return f"{_name(owner[1] if owner else '')}unknown key '{match[1]}'{near(match[1], keys)}"
    if match := re.search(r"does not accept option '([\w.]+)'", text):
        return f"unknown key '{match[1]}'{near(match[1], known)}"
    if match := re.search(r"unrecognized arguments: (\S+)", text):
        return f"unknown option '{match[1]}'{near(match[1].split('=')[0], known)}"
    if match := re.search(r"Expected a dot import path string: (\S+)", text):
        return f"unknown class '{match[1]}'{near(match[1], classes)}"
    if match := re.search(r'Parser key "config": File does not exist: (.*)', text):
        return f"there is no configuration {match[1]}; `list` names those that come with gumbelzoo"
    if "Problems parsing config" in text:
        return f"the configuration is no YAML: {' '.join(text.split()[3:])}"
    if text.startswith("Error(s) in loading state_dict"):
        detail = text.splitlines()[1].strip() if "\n" in text else ""
        return f"the checkpoint belongs to another model: {detail}"
    return _validation(text) or f"{type(error).__name__}"


def _validation(text: str) -> str:
    """The innermost complaint of a nested validation error, with the key it is about."""
    keys = re.findall(r'Parser key "([\w.]+)"', text)
    given = re.search(r"^\s*Given value: (.*)$", text, flags=re.MULTILINE)
    lines = [line.strip().removeprefix("- ").strip() for line in text.splitlines()]
    useful = [line for line in lines if not NOISE.search(line) and not line.startswith("Parser key")]
    if not keys:
        return useful[0] if useful else text.split("\n")[0]
    complaint = re.sub(r"<class '(?:[\w]+\.)*(\w+)'>", r"\1", useful[0]) if useful else "invalid"
    if given and "Got value" not in complaint:
        complaint += f", got {given[1]}"
    return f"{'.'.join(keys)}: {complaint[0].lower()}{complaint[1:]}"


def _arguments(class_path: str) -> list[str]:
    module, _, name = class_path.rpartition(".")
    return list(inspect.signature(getattr(importlib.import_module(module), name)).parameters)


def _name(class_path: str) -> str:
    return f"{class_path.rpartition('.')[2]}: " if class_path else ""
