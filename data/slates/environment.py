"""Users who look at a slate slot by slot, buy or not, and leave: a known reward of whole slates.

In slot t a user buys item i with probability sigmoid(-1.5 + u.v_i + need + sum_{s<t} W[c_t, c_s] 0.6^(t-s-1)): tastes
u and v, effects W of the categories shown before. Every user needs one category, and half of the users have bought it
already, which the agent cannot see. ``need`` is 2.5 for an item of this category, and -3 if it was bought already.
After each slot a user leaves with probability 0.08, plus 0.35 if the slot repeats the category of the one before, plus
0.6 if it shows what was bought already.

The reward of a slate is its expected number of purchases, with the hidden state summed out. Its purchases are linear in
the slot's own point of the simplex, and its logits and probabilities of leaving are linear in every earlier one. So
relaxed slates have a reward. Its gradient at a slate compares the items of the last slot exactly, and those of earlier
slots to first order.

Axes: ``b`` users, ``n`` items, ``k`` slots, ``d`` tastes, ``c`` categories, ``h`` hidden states.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..keyed_random import SLATE_ITEMS, SLATE_USERS, normal, uniform

TASTES, CATEGORIES = 8, 5
WIDTH = TASTES + CATEGORIES  # of a user vector: tastes, and the one-hot category that is needed
START, NEEDED, BOUGHT = -1.5, 2.5, -3.0  # of a purchase logit
DECAY = 0.6  # of the effect of earlier slots
LEAVE, REPEATED, POINTLESS = 0.08, 0.35, 0.6  # probabilities of leaving


@dataclass(frozen=True)
class Environment:
    """Items, and what their categories do to each other.

    Attributes:
        items: taste vectors v, ``n d``.
        categories: one-hot category of each item, ``n c``.
        effects: W, ``c c``: row of the item shown, column of the earlier one.
    """

    items: Tensor
    categories: Tensor
    effects: Tensor

    @classmethod
    def draw(cls, number: int, items: int, effects: float = 1.0) -> Environment:
        """Draw the environment of a number; ``effects`` multiplies W, whose diagonal is -1 - |N(0, 1)|."""
        v = normal((items, TASTES), (SLATE_ITEMS, number, 0)) / TASTES**0.5
        w = normal((CATEGORIES, CATEGORIES), (SLATE_ITEMS, number, 1))
        w = torch.where(torch.eye(CATEGORIES, dtype=torch.bool), -1 - w.abs(), w)
        return cls(v, torch.eye(CATEGORIES)[torch.arange(items) % CATEGORIES], effects * w)

    def visit(self, user: Tensor) -> Visit:
        """Begin with users ``... d+c`` who have seen nothing."""
        tastes, need = user.split([TASTES, CATEGORIES], -1)
        items, categories, effects = (part.to(user) for part in (self.items, self.categories, self.effects))
        fits = need @ categories.T  # b n
        logits = START + tastes @ items.T  # b n
        none = torch.zeros_like(need)
        return Visit(
            Environment(items, categories, effects),
            logits=(logits + NEEDED * fits, logits + BOUGHT * fits),
            fits=fits,
            pressure=none,
            previous=none,
            stays=(torch.ones_like(user[..., 0]),) * 2,
        )

    def reward(self, user: Tensor, slate: Tensor) -> Tensor:
        """Return the expected purchases, ``...``; see ``interfaces.SlateSource.reward``."""
        visit = self.visit(user)
        first, *others = slots_of(slate)
        total = visit.purchases(first)
        for previous, item in itertools.pairwise([first, *others]):
            visit = visit.show(previous)
            total = total + visit.purchases(item)
        return total

    def feedback(self, user: Tensor, codes: Tensor) -> Tensor:
        """Draw purchases, 0 or 1, of slates ``... k`` of users ``... d+c``, in the dtype of the users."""
        visit = self.visit(user)
        shape = torch.broadcast_shapes(codes.shape[:-1], user.shape[:-1])
        bought_before, here = torch.rand(shape, device=user.device) < 0.5, torch.ones(shape, device=user.device).bool()
        drawn = []
        for item in codes.unbind(-1):
            (one, other), (goes, also_goes) = visit.chances(item), visit.leave(item)
            chances, leave = torch.where(bought_before, other, one), torch.where(bought_before, also_goes, goes)
            drawn.append((torch.rand(shape, device=user.device) < chances) & here)
            here = here & (torch.rand(shape, device=user.device) >= leave)
            visit = visit.show(item)
        return torch.stack(drawn, -1).to(user.dtype)


@dataclass(frozen=True)
class Visit:
    """Users in front of their next slot.

    Attributes:
        environment: the items.
        logits: of a purchase without earlier slots, ``b n``, for those who have not yet bought what they need, and for
            those who have. So are all pairs.
        fits: 1 for the items that are needed, ``b n``.
        pressure: decayed effects of earlier slots on each category, ``... c``.
        previous: category of the last slot, ``... c``.
        stays: probabilities of still being here, ``...``.
    """

    environment: Environment
    logits: tuple[Tensor, Tensor]
    fits: Tensor
    pressure: Tensor
    previous: Tensor
    stays: tuple[Tensor, Tensor]

    def chances(self, item: Tensor) -> tuple[Tensor, Tensor]:
        """Return P(purchase) of those who are here, ``...``, for codes ``...`` or points ``... n``."""
        one, other = self.logits
        categories = self.environment.categories
        if not item.is_floating_point():
            pressure = pick(self.pressure, categories.argmax(-1)[item])
            return (pick(one, item) + pressure).sigmoid(), (pick(other, item) + pressure).sigmoid()
        pressure = self.pressure @ categories.T  # ... n
        return (item * (one + pressure).sigmoid()).sum(-1), (item * (other + pressure).sigmoid()).sum(-1)

    def leave(self, item: Tensor) -> tuple[Tensor, Tensor]:
        """Return the probabilities of leaving after an item, ``...``; at most 1."""
        leave = LEAVE + REPEATED * (self._category(item) * self.previous).sum(-1)
        fits = (item * self.fits).sum(-1) if item.is_floating_point() else pick(self.fits, item)
        return leave, (leave + POINTLESS * fits).clamp(max=1.0)

    def purchases(self, item: Tensor) -> Tensor:
        """Return the expected purchases in this slot, ``...``."""
        (one, other), (here, also_here) = self.chances(item), self.stays
        return 0.5 * (here * one + also_here * other)

    def gains(self) -> Tensor:
        """Return the expected purchases of every item in this slot, ``... n``."""
        pressure = self.pressure @ self.environment.categories.T
        one, other = (
            (logits + pressure).sigmoid() * stay[..., None]
            for logits, stay in zip(self.logits, self.stays, strict=True)
        )
        return 0.5 * (one + other)

    def show(self, item: Tensor) -> Visit:
        """Show an item, by its code ``...`` or as a point of the simplex ``... n``."""
        category = self._category(item)
        (here, also_here), (goes, also_goes) = self.stays, self.leave(item)
        stays = here * (1 - goes), also_here * (1 - also_goes)
        pressure = DECAY * self.pressure + category @ self.environment.effects.T
        return replace(self, pressure=pressure, previous=category, stays=stays)

    def _category(self, item: Tensor) -> Tensor:
        categories = self.environment.categories
        return item @ categories if item.is_floating_point() else categories[item]


def draw_users(n: int, number: int, split: int) -> Tensor:
    """Draw user vectors ``n d+c`` of an environment: standard normal tastes, and a category that is needed."""
    tastes = normal((n, TASTES), (SLATE_USERS, number, split, 0))
    need = (uniform((n,), (SLATE_USERS, number, split, 1)) * CATEGORIES).long()
    return torch.cat([tastes, torch.eye(CATEGORIES)[need]], -1)


def slots_of(slate: Tensor) -> tuple[Tensor, ...]:
    """Split codes ``... k``, or points of the simplex ``... k n``, into slots."""
    return slate.unbind(-2 if slate.is_floating_point() else -1)


def pick(values: Tensor, codes: Tensor) -> Tensor:
    """Return the value of each code, ``... n`` and ``... -> ...``; leading axes broadcast."""
    shape = torch.broadcast_shapes(values.shape[:-1], codes.shape)
    return values.expand(*shape, values.shape[-1]).gather(-1, codes.expand(shape)[..., None]).squeeze(-1)
