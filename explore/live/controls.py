"""Controls that Gradio lacks, each HTML with a small script: a canvas of pixels, fields of codes, tokens to press."""

from __future__ import annotations

from importlib.resources import files
from itertools import count

import gradio as gr
from torch import Tensor

from ..texts import Sentence
from . import html

# Fields of another image are other fields, even if the codes are equal: a changed one is set back.
_NUMBERS = count()

KEYS = "Arrow keys move the pen, Space lowers and lifts it."


def script(name: str) -> str:
    """Return a file of this folder."""
    return (files(__package__) / name).read_text(encoding="utf-8")


def add_canvas(height: int, width: int, name: str) -> gr.HTML:
    """Add a canvas; its event ``input`` has ``levels``, two hexadecimal digits for each pixel."""
    return gr.HTML(
        "",
        html_template=f'<div class="gz-canvas"><canvas width="{width}" height="{height}" tabindex="0" role="img" '
        f'aria-label="{html.text(name)}. {KEYS}"></canvas><p><button type="button">Clear</button> '
        f'<span role="status">{KEYS}</span></p></div>',
        js_on_load=script("canvas.js"),
        apply_default_css=False,
    )


def add_codes() -> gr.HTML:
    """Add fields of codes, whose value is that of ``code_fields``.

    Its event ``input`` has ``index`` and ``code``, and ``select``, when a field gets the focus, has ``index``.
    """
    return gr.HTML("", js_on_load=script("codes.js"), elem_id="gz-codes", apply_default_css=False)


def code_fields(codes: Tensor, k: int) -> str:
    """Return a field for each code of an image, in a row or in a grid.

    Args:
        codes: ``1 n``, or a grid ``1 h w q``.
        k: number of categories.
    """
    new = f'data-image="{next(_NUMBERS)}"'
    if codes.ndim == 2:
        fields = "".join(
            f"<label>latent {index}{_field(index, code, k, f'latent {index}')}</label>"
            for index, code in enumerate(codes[0].tolist())
        )
        return f'<div class="gz-codes" role="group" aria-label="codes" {new}>{fields}</div>'
    _, rows, columns, books = codes.shape
    flat = codes.flatten().tolist()
    cells = ""
    for cell in range(rows * columns):
        name = f"row {cell // columns + 1}, column {cell % columns + 1}"
        first = cell * books
        fields = "".join(
            _field(first + book, flat[first + book], k, name + (f", codebook {book}" if books > 1 else ""))
            for book in range(books)
        )
        cells += f'<div class="gz-cell">{fields}</div>'
    style = f"grid-template-columns:repeat({columns},minmax(2.8rem,4rem))"
    return f'<div class="gz-codes gz-over" role="group" aria-label="grid of codes" style="{style}" {new}>{cells}</div>'


def below_grid(image: Tensor) -> str:
    """Return the style that puts an image, ``c h w``, below a grid of codes.

    It is apart from the fields, so that they stand, with what is being typed and the focus, while the image changes.
    """
    return f"<style>#gz-codes .gz-over {{ background-image: url({html.data_url(image)}) }}</style>"


def _field(index: int, code: int, k: int, name: str) -> str:
    return (
        f'<input type="number" min="0" max="{k - 1}" step="1" value="{code}" data-index="{index}" '
        f'aria-label="{name}, a code from 0 to {k - 1}">'
    )


def add_tokens() -> gr.HTML:
    """Add a sentence with its alternatives, whose value is that of ``token_list``.

    Its event ``input``, when one is pressed, has ``place`` and ``token``.
    """
    return gr.HTML("", js_on_load=script("tokens.js"), elem_id="gz-tokens", apply_default_css=False)


def token_list(sentence: Sentence) -> str:
    """Return the places of a sentence in a list, each with the drawn token and buttons of the most probable ones."""
    places = ""
    for number, place in enumerate(sentence.places):
        buttons = "".join(
            f'<button type="button" data-place="{number}" data-token="{other.id}" '
            f'aria-label="{html.text(other.text)} at place {number + 1}">'
            f"<span>{html.text(other.text)}</span><span>{other.probability:.1%}</span></button>"
            for other in place.alternatives
        )
        given = ' class="gz-given"' if place.given else ""
        drawn = place.drawn
        places += f"<li{given}><strong>{html.text(drawn.text)} {drawn.probability:.1%}</strong>{buttons}</li>"
    return f'<ol class="gz-sentence" aria-label="places of the sentence">{places}</ol>'
