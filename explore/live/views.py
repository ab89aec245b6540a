"""Section of classifiers: the class of the image, and for glimpses and gates what the model sees of it."""

from __future__ import annotations

import gradio as gr
from torch import Tensor

from ..choices import open_share, views_picture
from . import html
from .events import Section, add_output, add_status, respond
from .subject import Subject

MAX_CLASSES = 100  # with a bar each


def build(subject: Subject, page: gr.Blocks, image: gr.State) -> None:
    """Add the probabilities of the classes, and the views."""

    def look(x: Tensor) -> tuple[str, str]:
        probabilities = subject.model.probabilities(x)[0]
        best = probabilities.topk(min(MAX_CLASSES, len(probabilities))).indices.sort().values
        names = [f"class {number}" for number in best.tolist()]
        bars = html.bars("Probability of each class", names, {"probability": probabilities[best].tolist()})
        picture, gates = views_picture(subject.model, x), open_share(subject.model, x)
        said = "" if gates is None else html.sentence(f"{gates[0]} of {gates[1]} gates are open for this image.")
        return bars, said + ("" if picture is None else html.picture(picture, "the image, and what the model sees"))

    with gr.Row(equal_height=False):
        with gr.Column(min_width=240):
            bars = add_output("classes")
        with gr.Column(min_width=240):
            seen = add_output("views")
    status = add_status()
    respond([image.change], look, [image], [bars, seen], status)


SECTION = Section(
    "What it sees",
    lambda subject: subject.shape is not None and hasattr(subject.model, "probabilities"),
    build,
)
