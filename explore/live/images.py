"""The image that sections of an image model work on: drawn, a sample of the model, or a test image."""

from __future__ import annotations

from typing import Any

import gradio as gr
from torch import Tensor

from ..images import MAX_DRAWN, drawn_image, first_image, own_images
from . import html
from .controls import add_canvas
from .events import add_output, add_status, respond, respond_to_data
from .subject import TEST_IMAGES, Subject

SIDE = 140  # pixels to which the image is enlarged


def add_image(subject: Subject, page: gr.Blocks, name: str, seed: int = 0) -> gr.State:
    """Add controls that choose an image, and return the state that holds it, ``1 c h w``.

    Args:
        subject: a model of images.
        page: its page.
        name: of the image, in labels.
        seed: of the sample to begin with.
    """
    shape = subject.shape
    assert shape is not None
    image, seeds = gr.State(None), gr.State(seed)

    def begin() -> Tensor:
        return first_image(subject.model, seed)

    def sample(before: int) -> tuple[int, Tensor]:
        return before + 1, first_image(subject.model, before + 1)

    def take(number: float) -> Tensor:
        images = subject.test_images()
        return images[int(number) % len(images)][None]

    def draw(event: Any) -> Tensor:
        return drawn_image(str(event.levels), shape, subject.binary)

    def show(x: Tensor) -> str:
        scale = max(1, SIDE // max(shape[1:]))
        return html.picture(x[0].repeat_interleave(scale, -1).repeat_interleave(scale, -2), name)

    own, drawable = own_images(subject.model), max(shape[1:]) <= MAX_DRAWN
    with gr.Row(equal_height=False):
        with gr.Column(min_width=150, scale=1):
            shown = add_output(name.removeprefix("the ").replace(" ", "-"))
        if drawable:
            with gr.Column(min_width=150, scale=1):
                canvas = add_canvas(*shape[1:], f"Draw {name}")
        with gr.Column(min_width=220, scale=2):
            sampled = gr.Button(f"Take {own}", size="sm") if own else None
            number = gr.Slider(0, TEST_IMAGES - 1, 0, step=1, label="Test image, number")
            taken = gr.Button("Take this test image", size="sm")
    status = add_status()
    respond([page.load], begin, [], [image], status)
    if sampled is not None:
        respond([sampled.click], sample, [seeds], [seeds, image], status)
    respond([number.change, taken.click], take, [number], [image], status)
    if drawable:
        respond_to_data(canvas.input, draw, [], [image], status)
    respond([image.change], show, [image], [shown], status)
    return image
