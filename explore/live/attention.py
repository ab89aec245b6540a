"""Section of models that attend to one place of a source at each step: what they write, and where they look."""

from __future__ import annotations

import gradio as gr
from torch import Tensor

from ..choices import read_source, translate
from . import html
from .events import Section, add_output, add_status, respond
from .subject import Subject


def build(subject: Subject, page: gr.Blocks, image: gr.State) -> None:
    """Add a source that the model has kept or, of tokens, a typed one, its target, and the probabilities of places."""
    model, sides = subject.model, subject.model.require_sides()
    number = gr.Slider(0, len(model.examples) - 1, 0, step=1, label="Training source that the model has kept")
    typed = hasattr(sides.source, "encode")
    text = gr.Textbox("", label="Source", max_lines=1, visible=typed)

    def keep(index: float) -> str:
        return sides.source.decode(model.examples[int(index)])

    def attend(source: Tensor) -> tuple[str, str]:
        found = translate(model, source)
        said = html.sentence(f"It writes: {found.text}")
        return said, html.picture(found.picture, "probability of each place of the source at each step", wide=True)

    def read(given: str) -> tuple[str, str]:
        return attend(read_source(model, given)) if given else ("", "")

    def look(index: float) -> tuple[str, str]:
        return attend(model.examples[int(index)][None])

    written, shown = add_output("written"), add_output("places")
    status = add_status()
    if typed:
        respond([page.load, number.change], keep, [number], [text], status)
        respond([text.change], read, [text], [written, shown], status)
    else:
        respond([page.load, number.change], look, [number], [written, shown], status)


SECTION = Section("Attention", lambda subject: hasattr(subject.model, "attend"), build)
