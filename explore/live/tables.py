"""Sections with many images at once: the latent table of a categorical VAE, and the codebook of a VQ-VAE as tiles."""

from __future__ import annotations

import gradio as gr
from torch import Tensor

from ..codes import code_count, code_use, table_picture, tiles_picture
from . import html
from .events import Section, add_output, add_status, respond
from .subject import Subject


def _build_table(subject: Subject, page: gr.Blocks, image: gr.State) -> None:
    """Add the table of the image's codes, which is drawn anew with each image."""

    def table(x: Tensor) -> str:
        picture = table_picture(subject.model, subject.model.encode(x), x)
        return html.picture(picture, "rows: latents; columns: categories; framed: those of the image", wide=True)

    shown, status = add_output("table"), add_status()
    respond([image.change], table, [image], [shown], status)


def _build_tiles(subject: Subject, page: gr.Blocks, image: gr.State) -> None:
    """Add the tiles of a codebook, and a button that counts the codes in test images."""
    books, k = subject.model.codebook_usage.counts.shape
    counts = gr.State(None)

    def tiles(book: float, counted: Tensor | None) -> str:
        picture = tiles_picture(subject.model, int(book), counted)
        return html.picture(picture, f"tiles of the codes of codebook {int(book)}")

    def count(book: float) -> tuple[Tensor, str, str]:
        images = subject.test_images()
        counted = code_use(subject.model, images)
        used = int((counted[int(book)] > 0).sum())
        said = f"{used} of {k} codes occur in {len(images)} test images; the shares are written above the tiles."
        return counted, tiles(book, counted), html.sentence(said)

    gr.Markdown("A tile is the middle of an image that has this code at every place.")
    book = gr.Slider(0, max(books - 1, 1), 0, step=1, label="Codebook", visible=books > 1)
    counting = gr.Button("Count the codes in test images")
    said, shown = add_output("counted"), add_output("tiles")
    status = add_status()
    respond([page.load, book.change], tiles, [book, counts], [shown], status)
    respond([counting.click], count, [book], [counts, shown, said], status)


TABLE = Section("Latent table", lambda subject: hasattr(subject.model, "latent_table"), _build_table)
CODEBOOK = Section(
    "Codebook",
    lambda subject: code_count(subject.model) is not None and hasattr(subject.model, "codebook_usage"),
    _build_tiles,
)
