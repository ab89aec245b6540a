"""Section of models whose images have codes: see them, change any, and watch the image."""

from __future__ import annotations

from typing import Any

import gradio as gr
from torch import Tensor

from ..codes import MAX_CODES, changed, code_count, image_and_code, row_picture
from . import html
from .answers import whole
from .controls import add_codes, below_grid, code_fields
from .events import Section, add_output, add_status, respond, respond_to_data
from .subject import Subject


def applies(subject: Subject) -> bool:
    """Return whether images have codes that can be changed."""
    return code_count(subject.model) is not None


def build(subject: Subject, page: gr.Blocks, image: gr.State) -> None:
    """Add fields of the codes, the decoded image, and the row of a chosen code."""
    model, k = subject.model, code_count(subject.model)
    assert k is not None
    codes, original, chosen = gr.State(None), gr.State(None), gr.State(0)

    def encode(x: Tensor) -> tuple[Any, ...]:
        found = model.encode(x)
        if found.numel() > MAX_CODES:
            raise ValueError(f"an image has {found.numel():,} codes, more than the {MAX_CODES:,} that are shown here")
        return found, x, code_fields(found, k), *views(found, x, 0)

    def flip(event: Any, before: Tensor, x: Tensor) -> tuple[Any, ...]:
        index = whole(event.index, "the number of a code")
        after = changed(before, index, whole(event.code, "a code"), k)
        return after, index, *views(after, x, index)

    def look(event: Any, given: Tensor) -> tuple[int, str]:
        index = whole(event.index, "the number of a code")
        return index, row(given, index)

    def views(given: Tensor, x: Tensor, index: int) -> tuple[str, str, str]:
        decoded = model.decode(given)
        pair = html.picture(image_and_code(x, decoded), "the image, and below it what its codes give")
        return below_grid(decoded[0]), pair, row(given, index)

    def row(given: Tensor, index: int) -> str:
        picture = row_picture(model, given, index)
        return html.sentence(f"Code number {index} set to each category:") + html.picture(
            picture, f"images with code number {index} set to each category, its own framed"
        )

    gr.Markdown(f"Each code is one of {k} categories. Change one; the image below is decoded again.")
    fields, below = add_codes(), add_output("below")
    status = add_status()
    with gr.Row(equal_height=False):
        with gr.Column(min_width=160, scale=1):
            shown = add_output("decoded")
        with gr.Column(min_width=280, scale=3):
            rows = add_output("row")
    respond([image.change], encode, [image], [codes, original, fields, below, shown, rows], status)
    respond_to_data(fields.input, flip, [codes, original], [codes, chosen, below, shown, rows], status)
    respond_to_data(fields.select, look, [codes], [chosen, rows], status)


SECTION = Section("Codes", applies, build)
