"""Errors of users in one line: what is wrong, and the nearest right thing."""

from __future__ import annotations

import difflib
import re
import traceback
from argparse import ArgumentError
from collections.abc import Iterable, Mapping

from ...pretrained.untrusted import first_line, printable

PACKAGE = __name__.partition(".")[0]
LONGEST = 1500  # characters of a line
EXAMPLE = "configs/catvae_digits.yaml"
NOISE = re.compile(
    r"Expected a <class 'NoneType'>|Does not validate|Subtypes:|Errors:|Given value|Problem with given|^$"
)
NO_MEMORY = re.compile(r"can't allocate memory|out of memory")  # torch has a class of its own for GPUs alone
TYPE = re.compile(r"Expected an? (?:<class '(?:\w+\.)*(\w+)'>|typing\.(\w+\[.*?\]))")


class SomeFailed(RuntimeError):
    """Some of several runs or sources failed, and the line of each has been printed."""


def near(name: str, known: Iterable[str]) -> str:
    """Return ``; did you mean 'x'?``, or nothing.

    An option of the same last part comes first, in the shortest such group: ``--learning_rate`` is
    ``--model.optimizer.learning_rate``. Else it is the one most similar as a whole, or the same below a similar group.

    Args:
        name: what was given, with or without dashes; the answer has them as well.
        known: names of all options.
    """
    dashes, name = ("--" if name.startswith("--") else ""), name.lstrip("-")
    known = list(dict.fromkeys(option.lstrip("-") for option in known))
    head, _, tail = name.partition(".")
    leaf = name.rpartition(".")[2]
    heads = {option.partition(".")[0] for option in known}
    # No hint is a whole section, or the name of another part: every part has one.
    known = [option for option in known if option != head or not tail]
    known = [option for option in known if leaf != "name" or option.rpartition(".")[2] != "name"]
    same = [option for option in known if option.rpartition(".")[2] == leaf and option != name]
    least = min((option.count(".") for option in same), default=0)
    best = [option for option in same if option.count(".") == least] or _similar(name, known, 0.8)
    if not best and tail and head not in heads:
        best = [f"{first}.{tail}" for first in _similar(head, heads, 0.6)]
    if not best:
        leaves = {option.rpartition(".")[2]: option for option in reversed(known)}
        best = [leaves[found] for found in _similar(leaf, leaves, 0.8)]
    best = best or _similar(name, known, 0.5)
    options = " or ".join(f"'{dashes}{option}'" for option in best)
    return f"; did you mean {options}?" if best else ""


def unknown_class(section: str, name: str, classes: Mapping[str, str]) -> str:
    """Return the message for an unknown model or data.

    Args:
        section: ``model`` or ``data``.
        name: what was given.
        classes: registry name of each class by the class's own name, which is taken for a hint only.
    """
    known = sorted(classes.values())
    best = difflib.get_close_matches(name, [*known, *classes], n=1, cutoff=0.5)
    hint = f"did you mean '{classes.get(best[0], best[0])}'? " if best else ""
    own = "" if best else "; one of your own needs --plugin FILE"
    return f"unknown {section}: '{name}'; {hint}known: {', '.join(known)}{own}"


def exit_code(error: BaseException) -> int:
    """Return 2 for what the user can say differently, 1 for what went wrong while running."""
    raised_by = _raised_by(error)
    ours = isinstance(error, ValueError) and raised_by == PACKAGE
    return 2 if ours or isinstance(error, (ArgumentError, FileNotFoundError)) or _is_refusal(error, raised_by) else 1


def explain(error: BaseException, known: Iterable[str] = ()) -> str:
    """Return the one useful line of an error. One that nobody foresaw says that ``--debug`` shows more.

    Args:
        error: ours, the parser's, the system's, Lightning's or anyone's.
        known: options that the parser takes, for the nearest one.
    """
    raised_by = _raised_by(error)
    text = str(error).strip()
    if isinstance(error, ArgumentError):
        said = _explain_parser(text, known)
    elif isinstance(error, OSError) and error.strerror:
        said = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    elif isinstance(error, (ValueError, NotImplementedError, OSError)) and raised_by == PACKAGE and text:
        said = text  # one line, whatever the names in it have
    elif type(error).__module__.partition(".")[0] == PACKAGE:
        said = " ".join(text.split())
    elif text.startswith("Error(s) in loading state_dict"):
        said = f"the checkpoint belongs to another model: {' '.join(text.splitlines()[1:2]).strip()}"
    elif _is_refusal(error, raised_by):
        said = f"Lightning: {first_line(error)}"
    elif isinstance(error, MemoryError) or NO_MEMORY.search(text):
        fix = "make --data.batch_size or the model smaller"
        said = f"not enough memory; {fix}: {first_line(error)}; --debug shows where"
    else:
        said = f"unexpected {type(error).__name__}: {first_line(error)}; --debug shows where"
    said = printable(said)
    return said if len(said) <= LONGEST else f"{said[: LONGEST // 2]} ... {said[-LONGEST // 2 :]}"


def _raised_by(error: BaseException) -> str:
    """Package in which an error was raised; the program's own script is ours. Empty for one that was not raised."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    name = str(frames[-1].f_globals.get("__name__", "")) if frames else ""
    return PACKAGE if name == "__main__" else name.partition(".")[0]


def _is_refusal(error: BaseException, raised_by: str) -> bool:
    """True for Lightning's error about a value of the trainer's options."""
    known = isinstance(error, ValueError) or type(error).__name__ == "MisconfigurationException"
    return known and raised_by.startswith(("lightning", "pytorch_lightning"))


def _explain_parser(text: str, known: Iterable[str]) -> str:
    """Return the one useful line of a parser's error; arguments are those of ``explain``."""
    if missing := missing_arguments(text):
        sections = [name for name in ("model", "data") if name in missing]
        remedy = f"add --config {EXAMPLE} (`list` names the others)" if sections else ""
        remedy = remedy or "--help tells what it is, `list` names released models"
        return f"nothing says which {' and '.join(sections or missing)} to use; {remedy}"
    if match := re.search(r"Option '([\w.]+)' is not accepted|does not accept option '([\w.]+)'", text):
        key = match[1] or match[2]
        owner = re.search(r"given class_path '(?:\w+\.)*(\w+)'", text)
        return f"{owner[1]}: unknown key '{key}'" if owner else f"unknown key '{key}'{near(key, known)}"
    if match := re.search(r"unrecognized arguments: (\S+)", text):
        return f"unknown option '{match[1]}'{near(match[1].split('=')[0], known)}"
    return complaint(text) or "invalid arguments"


def missing_arguments(text: str) -> list[str]:
    """Return the names of arguments that the parser misses, by an error's text."""
    match = re.search(r"arguments are required: (.*)", text)
    return [name.removesuffix(".class_path").rpartition(".")[2] for name in match[1].split(", ")] if match else []


def complaint(text: str, group: str = "") -> str:
    """Return the innermost complaint of a nested validation error, with the key that it is about.

    Args:
        text: of the parser's error; one without a key is shortened to its first useful line.
        group: name of what has the key.
    """
    keys = [*filter(None, [group]), *re.findall(r'Parser key "([\w.]+)"', text)]
    lines = [line.strip().removeprefix("- ").strip() for line in text.splitlines()]
    useful = [line for line in lines if not NOISE.search(line) and not line.startswith("Parser key")]
    if len(keys) == bool(group):
        return ": ".join([*keys, useful[0] if useful else text.split("\n")[0]])
    types = dict.fromkeys(named or generic for named, generic in TYPE.findall(text) if named != "NoneType")
    given = re.search(r"(?:Got value|^\s*Given value): (.*)$", text, flags=re.MULTILINE)
    if types and given:
        return f"{'.'.join(keys)}: expected {' or '.join(types)}, got '{given[1]}'"
    said = useful[0] if useful else "invalid"
    said += f", got '{given[1]}'" if given and "Got value" not in said else ""
    return f"{'.'.join(keys)}: {said[0].lower()}{said[1:]}"


def _similar(name: str, known: Iterable[str], cutoff: float) -> list[str]:
    return difflib.get_close_matches(name, list(known), n=1, cutoff=cutoff)
