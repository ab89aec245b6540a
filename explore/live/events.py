"""Events of the page: a function answers one, and an error becomes a sentence beside the control."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from .answers import answer
from .subject import Subject

# One computation at a time, and of many moves of a slider the last; none is offered to programs.
OPTIONS: dict[str, Any] = {
    "concurrency_id": "model",
    "concurrency_limit": 1,
    "trigger_mode": "always_last",
    "api_visibility": "private",
    "show_progress": "minimal",
}


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Attributes:
        title: of its tab.
        applies: whether a model can do what it shows.
        build: adds its controls; takes the subject, the page, and the state with the image that sections work on.
    """

    title: str
    applies: Callable[[Subject], bool]
    build: Callable[[Subject, gr.Blocks, gr.State], None]


def add_output(name: str) -> gr.HTML:
    """Add an empty place for what a section shows; ``name`` is its id in the page, without the prefix ``gz-``."""
    return gr.HTML("", elem_id=f"gz-{name}", apply_default_css=False)


def add_status() -> gr.HTML:
    """Add the place in which errors of a section are told."""
    return gr.HTML("", apply_default_css=False)


def respond(
    triggers: Sequence[Any], function: Callable[..., Any], inputs: Sequence[Any], outputs: Sequence[Any], status: Any
) -> None:
    """Call a function at events, and show what it returns; an error is told in ``status``."""

    def run(*values: Any) -> tuple[Any, ...]:
        return answer(function, values, [gr.update()] * len(outputs))

    gr.on(list(triggers), run, list(inputs), [*outputs, status], **OPTIONS)


def respond_to_data(
    trigger: Callable[..., Any],
    function: Callable[..., Any],
    inputs: Sequence[Any],
    outputs: Sequence[Any],
    status: Any,
) -> None:
    """Do the same at an event of our own script, whose data the function takes first."""

    def run(event: gr.EventData, *values: Any) -> tuple[Any, ...]:
        return answer(function, (event, *values), [gr.update()] * len(outputs))

    # None of them may be lost: two codes that are changed in a row are both changed.
    trigger(run, list(inputs), [*outputs, status], **{**OPTIONS, "trigger_mode": "multiple"})
