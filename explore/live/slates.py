"""Section of agents that fill slates: the item of each slot with its probabilities, and what another one changes."""

from __future__ import annotations

from typing import Any

import gradio as gr
import torch

from ..choices import Slot, slate
from . import html
from .events import Section, add_output, add_status, respond
from .subject import Subject

BEST = "the agent's"
SHOWN = 20  # items with a bar
MAX_SLOTS, MAX_ITEMS = 10, 200  # that are filled by hand


def build(subject: Subject, page: gr.Blocks, image: gr.State) -> None:
    """Add a user, a choice for each slot, and the probabilities of the items."""
    model = subject.model
    user = gr.Slider(0, len(model.users) - 1, 0, step=1, label="Training user that the agent has kept")
    choices = [BEST, *map(str, range(min(model.items, MAX_ITEMS)))]
    with gr.Row():
        slots: list[Any] = [
            gr.Dropdown(choices, value=BEST, label=f"Item in slot {number + 1}")
            for number in range(min(model.slots, MAX_SLOTS))
        ]

    def fill(number: float, *given: str) -> str:
        vector = model.users[int(number)]
        found = slate(model, vector, [None if item == BEST else int(item) for item in given])
        return _slots(found) + html.sentence(_reward(subject, vector, found))

    shown, status = add_output("slate"), add_status()
    changes = [control.change for control in (user, *slots)]
    respond([page.load, *changes], fill, [user, *slots], [shown], status)


def _slots(found: list[Slot]) -> str:
    """Tables of the most probable items of each slot."""
    tables = ""
    for number, slot in enumerate(found[:MAX_SLOTS]):
        best = slot.probabilities.topk(min(SHOWN, len(slot.probabilities)))
        names = [f"item {item}" + (" (chosen)" if item == slot.item else "") for item in best.indices.tolist()]
        title = f"Slot {number + 1}: item {slot.item}, probability {float(slot.probabilities[slot.item]):.1%}"
        tables += html.bars(title, names, {"probability": best.values.tolist()})
    return tables


def _reward(subject: Subject, user: torch.Tensor, found: list[Slot]) -> str:
    """The slate and, if the model names its data, the expected reward."""
    codes = torch.tensor([slot.item for slot in found])
    slate = "Slate " + ", ".join(map(str, codes.tolist()))
    if not subject.source.data:
        return f"{slate}."
    return f"{slate}: {float(subject.data().reward(user, codes)):.3f} expected purchases."


SECTION = Section("Slate", lambda subject: hasattr(subject.model, "recommend"), build)
