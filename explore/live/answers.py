"""Answers to events of the page: results, or an error as a sentence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ...pretrained.untrusted import first_line
from . import html


def answer(function: Callable[..., Any], values: Sequence[Any], unchanged: Sequence[Any]) -> tuple[Any, ...]:
    """Return the results of a function and an empty status; or ``unchanged``, and the error as a sentence."""
    try:
        found = function(*values)
    except Exception as error:  # a foreign model may raise anything
        return (*unchanged, html.sentence(first_line(error), alert=True))
    return (*(found if isinstance(found, tuple) else (found,)), "")


def whole(value: Any, name: str = "the value") -> int:
    """Return a whole number that a script sent, else ValueError."""
    if type(value) is not int:
        raise ValueError(f"{name} must be a whole number")
    return value
