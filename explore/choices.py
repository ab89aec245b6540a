"""Choices of a model one after the other: slots of a slate, places of a source, gates of an image. Pure functions.

Axes: ``n`` items, ``k`` slots, ``d`` user vector, ``y`` classes, ``c h w`` image, ``H W`` picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..callbacks.alignments import alignment_picture
from ..callbacks.pictures import view_grid
from ..models.slate.rollouts import draw_slates
from .texts import check_text


class Slot(NamedTuple):
    """A slot of a slate: the item in it, and the probabilities of all items given those before, ``n``."""

    item: int
    probabilities: Tensor


@torch.no_grad()
def slate(model: Any, user: Tensor, chosen: Sequence[int | None] = ()) -> list[Slot]:
    """Fill a slate for a user ``d``: items that are given, and where none is, the most probable one.

    Raises:
        ValueError: an item that is none, or that is in an earlier slot.
    """
    network, slots = model.require_network()
    given = [*chosen, *[None] * slots][:slots]
    found: list[Slot] = []

    def choose(logits: Tensor) -> Tensor:
        item = given[len(found)]
        if item is not None and not 0 <= item < model.items:
            raise ValueError(f"items go from 0 to {model.items - 1}, got {item}")
        if item is not None and item in {slot.item for slot in found}:
            raise ValueError(f"item {item} is in an earlier slot already; choose another for slot {len(found) + 1}")
        code = model.layer.mode(logits) if item is None else torch.tensor([item])
        found.append(Slot(int(code), logits[0].softmax(-1)))
        return code

    draw_slates(network, user[None], slots, choose)
    return found


class Translation(NamedTuple):
    """What was written for a source, and the picture ``3 H W`` of where the model looked at each step."""

    text: str
    picture: Tensor


def read_source(model: Any, text: str) -> Tensor:
    """Return the token ids of a source that is typed, ``1 s``, with EOS.

    Raises:
        ValueError: no text, one that is too long, or an unknown token.
    """
    check_text(text)
    sides = model.require_sides()
    sides.source.check(text)
    ids = sides.source.encode(text)
    if not 1 <= len(ids) < sides.max_lengths[0]:
        raise ValueError(f"a source must have 1 to {sides.max_lengths[0] - 1} tokens, got {len(ids)}")
    return torch.tensor([[*ids, 0]])  # 0 is EOS


@torch.no_grad()
def translate(model: Any, source: Tensor) -> Translation:
    """Write the target of a source ``1 s ...``, and draw the probability of each place at each step."""
    sides = model.require_sides()
    target = model.translate(source)
    batch = {
        "source": source,
        "source_length": sides.source.lengths(source),
        "target": target,
        "target_length": sides.target.lengths(target),
    }
    return Translation(sides.target.decode(target[0]), alignment_picture(model, batch))


@torch.no_grad()
def views_picture(model: Any, image: Tensor) -> Tensor | None:
    """Draw an image ``1 c h w`` above what the model sees of it, ``3 H W``; None for a model that sees all of it."""
    views = model.views(image) if hasattr(model, "views") else {}
    return view_grid(image, views) if views else None


@torch.no_grad()
def open_share(model: Any, image: Tensor) -> tuple[int, int] | None:
    """Return how many gates are open for an image ``1 c h w``, and how many there are; None for a model without."""
    if not hasattr(model, "open_channels"):
        return None
    gates = model.open_channels(image)
    return int((gates != 0).sum()), gates.shape[-1]
