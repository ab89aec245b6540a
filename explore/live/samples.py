"""Sections of images that a model makes: samples, the way between two images, completions of an upper half."""

from __future__ import annotations

from typing import Any

import gradio as gr
from torch import Tensor

from ..images import MAX_SAMPLES, MAX_STEPS, completion_picture, path_picture, sample_picture
from . import html
from .events import Section, add_output, add_status, respond
from .images import add_image
from .subject import Subject

ANY = -1  # of any class
MAX_CLASSES = 100  # that can be chosen
HEAT = "divides the logits; a uniform prior stays as it is"


def add_sampling(subject: Subject) -> dict[str, Any]:
    """Add the controls of ``sample`` that the model takes, by the names of its options."""
    options = subject.model.sample_options
    controls: dict[str, Any] = {
        "seed": gr.Slider(0, 999, 0, step=1, label="Seed"),
        "temperature": gr.Slider(0.1, 2.0, 1.0, step=0.05, label="Temperature", info=HEAT),
    }
    if "top_k" in options:
        controls["top_k"] = gr.Slider(0, 64, 0, step=1, label="Top-k", info="0 keeps all")
    if "top_p" in options:
        controls["top_p"] = gr.Slider(0.05, 1.0, 1.0, step=0.05, label="Top-p", info="1 keeps all")
    if "label" in options and subject.model.classes:
        choices = [("any", ANY), *class_choices(subject.model)]
        controls["label"] = gr.Dropdown(choices, value=ANY, label="Class")
    return controls


def class_choices(model: Any) -> list[tuple[str, int]]:
    """Return the classes that can be chosen: their names, or numbers if they have none, with their numbers."""
    names = getattr(model, "class_names", ()) or [str(number) for number in range(model.classes)]
    return [(name, number) for number, name in enumerate(names)][:MAX_CLASSES]


def read_sampling(names: Any, values: Any) -> dict[str, Any]:
    """Return the options of ``sample`` from values of the controls; those that change nothing are None."""
    given = dict(zip(names, values, strict=True))
    found: dict[str, Any] = {"seed": int(given["seed"]), "temperature": float(given["temperature"])}
    found["top_k"] = int(given.get("top_k", 0)) or None
    found["top_p"] = None if given.get("top_p", 1) >= 1 else float(given["top_p"])
    found["label"] = None if given.get("label", ANY) == ANY else int(given["label"])
    return found


def _build_samples(subject: Subject, page: gr.Blocks, image: gr.State) -> None:
    """Add samples with the options that the model takes."""
    with gr.Row():
        controls = add_sampling(subject)
        n = gr.Slider(1, MAX_SAMPLES, 16, step=1, label="Number of samples")

    def sample(n: float, *values: Any) -> str:
        options = read_sampling(controls, values)
        return html.picture(sample_picture(subject.model, int(n), **options), f"{int(n)} samples of the model")

    shown, status = add_output("samples"), add_status()
    changes = [control.change for control in (*controls.values(), n)]
    respond([page.load, *changes], sample, [n, *controls.values()], [shown], status)


def _build_path(subject: Subject, page: gr.Blocks, image: gr.State) -> None:
    """Add a second image, and the decoded way to it."""
    last = add_image(subject, page, "the last image", seed=7)
    steps = gr.Slider(2, MAX_STEPS, 8, step=1, label="Steps")

    def path(x: Tensor | None, y: Tensor | None, n: float) -> str:
        if x is None or y is None:
            return ""
        return html.picture(
            path_picture(subject.model, x, y, int(n)), f"{int(n)} decoded steps between two images", wide=True
        )

    shown, status = add_output("path"), add_status()
    respond([image.change, last.change, steps.change], path, [image, last, steps], [shown], status)


def _build_completions(subject: Subject, page: gr.Blocks, image: gr.State) -> None:
    """Add completions of the image's upper half."""
    seed = gr.Slider(0, 999, 0, step=1, label="Seed")

    def complete(x: Tensor | None, number: float) -> str:
        if x is None:
            return ""
        return html.picture(
            completion_picture(subject.model, x, int(number)), "completions of the upper half", wide=True
        )

    shown, status = add_output("completions"), add_status()
    respond([image.change, seed.change], complete, [image, seed], [shown], status)


def _makes_images(subject: Subject) -> bool:
    return hasattr(subject.model, "image_shape") and hasattr(subject.model, "sample")


SAMPLES = Section("Samples", _makes_images, _build_samples)
PATH = Section(
    "Interpolation",
    lambda subject: subject.shape is not None and hasattr(subject.model, "interpolate"),
    _build_path,
)
COMPLETIONS = Section("Completions", lambda subject: hasattr(subject.model, "complete"), _build_completions)
