"""GRU over a user and the items chosen so far. Axes: ``b`` users, ``n`` items, ``d`` user vector, ``h`` hidden."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..relaxed import select


class SlateNetwork(nn.Module):
    """Numbers for the next slot, from the user and the earlier slots.

    Args:
        items: number of items n.
        slots: items in a slate.
        user_width: width d of a user vector.
        hidden: width h of embeddings and states.
        outputs: numbers per slot.
        past: False blanks the earlier items, so that only the slot's position is known.
    """

    def __init__(self, items: int, slots: int, user_width: int, hidden: int, outputs: int, past: bool = True) -> None:
        super().__init__()
        self.past = past
        self.user = nn.Sequential(nn.Linear(user_width, hidden), nn.ReLU(), nn.Linear(hidden, hidden))
        self.items = nn.Parameter(torch.randn(items, hidden) / hidden**0.5)
        self.cell = nn.GRUCell(hidden, hidden)
        self.head = nn.Linear(hidden, outputs)
        # Several processes would wait for gradients of what no slot reads.
        self.cell.requires_grad_(slots > 1)
        self.items.requires_grad_(slots > 1 and past)

    def start(self, user: Tensor) -> Tensor:
        """Return the state before the first slot, ``... d -> ... h``."""
        return self.user(user).tanh()

    def advance(self, state: Tensor, z: Tensor, one_hot: bool = False) -> Tensor:
        """Return the state after an item, codes ``...`` or points of the simplex ``... n``, ``-> ... h``.

        Args:
            state: ``... h``; it broadcasts against further leading axes of z.
            z: the item.
            one_hot: rows of z are exactly one-hot.
        """
        item = select(z, self.items, one_hot=one_hot)
        if not self.past:
            item = torch.zeros_like(item)
        state = state.expand_as(item)
        rows = item.reshape(-1, item.shape[-1])
        return self.cell(rows, state.reshape(rows.shape)).view(item.shape)
