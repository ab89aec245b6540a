"""Sections of text models: a sentence with the alternatives at each place, and the way between two sentences."""

from __future__ import annotations

from typing import Any

import gradio as gr

from ..texts import MAX_STEPS, between, continued, write
from . import html
from .answers import whole
from .controls import add_tokens, token_list
from .events import Section, add_output, add_status, respond, respond_to_data
from .samples import ANY, add_sampling, class_choices, read_sampling
from .subject import Subject

LINES = 8  # of samples


def _build_writing(subject: Subject, page: gr.Blocks, image: gr.State) -> None:
    """Add a prefix, the options of ``sample``, and a sentence whose tokens can be replaced."""
    model, tokens = subject.model, gr.State([])
    prefix = gr.Textbox("", label="Prefix", info="text that the sentence begins with; Enter draws", max_lines=1)
    with gr.Row():
        controls = add_sampling(subject)

    def show(start: str, *values: Any) -> tuple[list[int], str, str]:
        options = read_sampling(controls, values)
        sentence = write(model, start, **options)
        return sentence.tokens, token_list(sentence), html.sentence(sentence.text)

    def go_on(event: Any, before: list[int]) -> str:
        return continued(model, before, whole(event.place, "the place"), whole(event.token, "the token"))

    text = add_output("text")
    gr.Markdown(
        "Each place has the drawn token and the most probable ones. Press one, and the sentence goes on from it."
    )
    places, status = add_tokens(), add_status()
    changes = [prefix.submit, prefix.change, *(control.change for control in controls.values())]
    respond([page.load, *changes], show, [prefix, *controls.values()], [tokens, places, text], status)
    respond_to_data(places.input, go_on, [tokens], [prefix], status)


def _build_way(subject: Subject, page: gr.Blocks, image: gr.State) -> None:
    """Add two sentences, and those that are decoded between them."""
    model, classes = subject.model, subject.model.classes
    first = gr.Textbox("", label="First sentence", max_lines=1)
    last = gr.Textbox("", label="Last sentence", max_lines=1)
    steps = gr.Slider(2, MAX_STEPS, 6, step=1, label="Steps")
    label = gr.Dropdown(class_choices(model) or [("any", ANY)], value=0 if classes else ANY, label="Class")
    label.visible = bool(classes)

    def begin() -> tuple[str, str]:
        one, other = (write(model, seed=seed).text for seed in (1, 2))
        return one, other

    def way(one: str, other: str, n: float, of: int) -> str:
        if not (one and other):
            return html.sentence("Give two sentences.")
        lines = between(model, one, other, int(n), int(of) if classes else None)
        items = "".join(f'<li class="gz-line">{html.text(line)}</li>' for line in lines)
        return f'<ol aria-label="decoded sentences">{items}</ol>'

    shown, status = add_output("way"), add_status()
    respond([page.load], begin, [], [first, last], status)
    respond([first.change, last.change, steps.change, label.change], way, [first, last, steps, label], [shown], status)


def _writes(subject: Subject) -> bool:
    return hasattr(subject.model, "sample_tokens")


WRITING = Section("Sentence", _writes, _build_writing)
WAY = Section(
    "Between two sentences", lambda subject: _writes(subject) and hasattr(subject.model, "interpolate"), _build_way
)
