"""A sentence with the alternatives at each place, and the way between two, for work by hand on a page. Pure functions.

Axes: ``t`` places, ``v`` tokens.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..models.relaxed.truncation import truncate
from ..models.text.labels import sample_labels

MAX_TEXT = 2000  # characters of a text that is typed
MAX_TOKENS = 256  # of a sentence that is drawn
MAX_STEPS = 12
SHOWN = 6  # alternatives at each place


class Alternative(NamedTuple):
    """A token by its id and text, and its probability."""

    id: int
    text: str
    probability: float


class Place(NamedTuple):
    """A place of a sentence: the token that was drawn or given, and the most probable ones."""

    drawn: Alternative
    given: bool
    alternatives: list[Alternative]


class Sentence(NamedTuple):
    """A sentence: its text, its token ids without padding, and its places."""

    text: str
    tokens: list[int]
    places: list[Place]


@torch.no_grad()
def write(
    model: Any,
    prefix: str = "",
    seed: int = 0,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    label: int | None = None,
) -> Sentence:
    """Draw a sentence of at most ``MAX_TOKENS``, with the probabilities that each of its tokens was drawn from.

    Those of a prefix are the ones that the model would have drawn from.

    Args:
        model: a text model.
        prefix: text that it begins with.
        seed: of the noise; of a text VAE it also draws z.
        temperature, top_k, top_p: see ``truncate``.
        label: class, for a model of classes; None draws it.

    Raises:
        ValueError: a text that is too long or has an unknown token, a label that the model does not take; errors of
            ``truncate``.
    """
    check_text(prefix)
    vocabulary = model.require_vocabulary()
    vocabulary.check(prefix)
    noise = torch.Generator().manual_seed(seed)
    conditions = model.draw_conditions(sample_labels(label, 1, model.classes, model.device, noise), 1, noise)
    ids = vocabulary.encode(prefix) if prefix else []
    options: dict[str, Any] = {"top_k": top_k, "top_p": top_p, "temperature": temperature}
    start = torch.tensor(ids, dtype=torch.int64) if ids else None
    longest = min(model.max_length, MAX_TOKENS)
    tokens = model.generator.sample(
        1, max_length=longest, prefix=start, label=conditions, banned=vocabulary.unk, generator=noise, **options
    )
    logits = model.generator.logits(tokens, conditions)[0]  # t v
    if vocabulary.unk is not None:
        logits[:, vocabulary.unk] = -math.inf
    probabilities = truncate(logits, **options).softmax(-1)
    length = int(vocabulary.lengths(tokens)[0])
    row = tokens[0, :length].tolist()
    places = [_place(vocabulary, probabilities[t], token, t < len(ids)) for t, token in enumerate(row)]
    return Sentence(vocabulary.decode(row), row, places)


def _place(vocabulary: Any, probabilities: Tensor, token: int, given: bool) -> Place:
    """Place with probabilities ``v``, most probable alternatives first."""
    best = probabilities.topk(min(SHOWN, len(probabilities)))
    found = [
        Alternative(number, token_text(vocabulary, number), p)
        for number, p in zip(best.indices.tolist(), best.values.tolist(), strict=True)
        if p > 0
    ]
    return Place(Alternative(token, token_text(vocabulary, token), float(probabilities[token])), given, found)


def token_text(vocabulary: Any, token: int) -> str:
    """Return a token as it is shown."""
    return "(end)" if token == vocabulary.eos else vocabulary.tokens[token]


def continued(model: Any, tokens: Sequence[int], place: int, token: int) -> str:
    """Return the prefix that has another token at a place, and what came before it.

    Raises:
        ValueError: no such place or token, or the end of a sentence, which is no prefix.
    """
    vocabulary = model.require_vocabulary()
    if not 0 <= place < len(tokens) or not 0 <= token < len(vocabulary):
        raise ValueError("there is no such place or token in this sentence")
    if token == vocabulary.eos:
        raise ValueError("a sentence that has ended cannot go on; choose another token")
    return vocabulary.decode([*tokens[:place], token])


def between(model: Any, first: str, last: str, steps: int, label: int | None = None) -> list[str]:
    """Return the sentences between two others, both ends included as the model decodes them.

    Raises:
        ValueError: too many or too few steps, a text that is too long; errors of ``model.interpolate``.
    """
    if not 2 <= steps <= MAX_STEPS:
        raise ValueError(f"the number of steps must lie between 2 and {MAX_STEPS}, got {steps}")
    for text in (first, last):
        check_text(text)
        model.require_vocabulary().check(text)
    return model.interpolate([first], [last], steps, label)[0]


def check_text(text: str) -> None:
    """Check that a typed text is a line of bounded length, else ValueError."""
    if len(text) > MAX_TEXT:
        raise ValueError(f"a text may have at most {MAX_TEXT:,} characters, got {len(text):,}")
    if "\n" in text.strip("\n"):
        raise ValueError("give one line of text")
