"""The page: a tab for each thing that the model can do, below the image they are about, and one for the temperature."""

from __future__ import annotations

import gradio as gr

from . import attention, codes, html, samples, slates, tables, temperature, views, writing
from .controls import script
from .events import Section
from .images import add_image
from .subject import Subject

SECTIONS: tuple[Section, ...] = (
    codes.SECTION,
    tables.TABLE,
    tables.CODEBOOK,
    samples.COMPLETIONS,
    views.SECTION,
    samples.PATH,
    samples.SAMPLES,
    writing.WRITING,
    writing.WAY,
    slates.SECTION,
    attention.SECTION,
)
STYLE = script("page.css")


def sections_of(subject: Subject) -> list[Section]:
    """Return the sections that a model can do, without the temperature, which needs no model."""
    return [section for section in SECTIONS if section.applies(subject)]


def build_page(subject: Subject) -> gr.Blocks:
    """Build the page of a model."""
    with gr.Blocks(title=f"gumbelzoo: {subject.name}", analytics_enabled=False) as page:
        about = f"{subject.model.registry_name}. {subject.model.card.use}"
        gr.HTML(f"<h1>{html.text(subject.name)}</h1>{html.sentence(about)}")
        with gr.Tabs():
            with gr.Tab("The model"):
                image = add_image(subject, page, "the image") if subject.shape is not None else gr.State(None)
                with gr.Tabs():
                    for section in sections_of(subject):
                        with gr.Tab(section.title):
                            section.build(subject, page, image)
            with gr.Tab(temperature.SECTION.title):
                temperature.SECTION.build(subject, page, image)
    return page
