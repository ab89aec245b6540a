"""Policies that know the environment: the scale of every result, and the controls that an agent has to beat.

Axes: ``b`` users, ``n`` items, ``k`` slots, ``m`` slates, ``w`` beam.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import torch
from torch import Tensor

from .environment import Environment, Visit

ENUMERATED = 10_000  # most slates that are enumerated
NUMBERS = 2**20  # computed at a time
BEAM = 16
RANDOM_SLATES = 1_000  # drawn where they are not enumerated


def is_enumerable(items: int, slots: int) -> bool:
    """True if all slates without repeats are enumerated."""
    return math.perm(items, slots) <= ENUMERATED


def all_slates(items: int, slots: int) -> Tensor:
    """Return all slates without repeats in lexicographic order, int64 ``m k``."""
    return torch.tensor(list(itertools.permutations(range(items), slots)))


def rewards_of(environment: Environment, user: Tensor, slates: Tensor) -> Tensor:
    """Return the reward of every slate ``m k`` for every user, ``b m``."""
    rows = max(1, NUMBERS // len(slates))
    return torch.cat([environment.reward(part[:, None], slates) for part in user.split(rows)])


def one_for_everybody(rewards: Tensor) -> Tensor:
    """Return the rewards ``b`` of the one slate with the best mean, from the rewards ``b m`` of all."""
    return rewards[:, rewards.mean(0).argmax()]


def independent(environment: Environment, user: Tensor, slots: int) -> Tensor:
    """Return the k items with the most expected purchases in a first slot, best first, ``b k``."""
    return environment.visit(user).gains().topk(slots, -1).indices


def best_order(environment: Environment, user: Tensor, codes: Tensor) -> Tensor:
    """Return the rewards ``b`` of the best order of each user's items ``b k``."""
    orders = all_slates(codes.shape[-1], codes.shape[-1])
    return environment.reward(user[:, None], codes[:, orders]).amax(-1)


def beam(environment: Environment, user: Tensor, slots: int, width: int = BEAM) -> Tensor:
    """Return slates ``b k`` by beam search on the purchases expected so far; width 1 is greedy, slot after slot."""
    rows = max(1, NUMBERS // (width * len(environment.items)))
    return torch.cat([_beam(environment, part, slots, width) for part in user.split(rows)])


def _beam(environment: Environment, user: Tensor, slots: int, width: int) -> Tensor:
    items = len(environment.items)
    codes = torch.empty(len(user), 1, 0, dtype=torch.int64)  # b w t
    total = torch.zeros(len(user), 1)  # b w
    visit = environment.visit(user[:, None])
    for t in range(slots):
        gains = visit.gains().expand(*total.shape, items)
        scores = total[..., None] + gains.scatter(-1, codes, -math.inf)  # b w n
        total, best = scores.flatten(1).topk(min(width, total.shape[1] * (items - t)), -1)  # b w, the best first
        parents = best // items
        codes = torch.cat([_take(codes, parents), (best % items)[..., None]], -1)
        visit = _children(visit, parents).show(codes[..., -1])
    return codes[:, 0]


def _children(visit: Visit, parents: Tensor) -> Visit:
    """The visits of the prefixes that are continued."""
    one, other = (_take(stay[..., None], parents)[..., 0] for stay in visit.stays)
    return Visit(
        visit.environment,
        visit.logits,
        visit.fits,
        _take(visit.pressure, parents),
        _take(visit.previous, parents),
        (one, other),
    )


def _take(values: Tensor, parents: Tensor) -> Tensor:
    """Rows ``b w ...`` of the parents ``b w``."""
    return values.gather(1, parents[..., None].expand(*parents.shape, values.shape[-1]))


def references(environment: Environment, user: Tensor, slots: int) -> dict[str, Tensor]:
    """Return the rewards ``b`` of ``random``, ``greedy`` and ``best`` slates of every user.

    ``best`` is the optimum of all slates, where they are few. Else it is the better of greedy and a beam search, a
    lower bound on the optimum.
    """
    items = len(environment.items)
    greedy = environment.reward(user, beam(environment, user, slots, 1))
    if is_enumerable(items, slots):
        rewards = rewards_of(environment, user, all_slates(items, slots))
        return {"random": rewards.mean(1), "greedy": greedy, "best": rewards.amax(1)}
    drawn = torch.stack(list(_random_slates(items, slots)))
    best = environment.reward(user, beam(environment, user, slots))
    random = torch.cat([rewards_of(environment, part, drawn).mean(1) for part in user.split(100)])
    return {"random": random, "greedy": greedy, "best": torch.maximum(best, greedy)}


def controls(environment: Environment, user: Tensor, slots: int) -> dict[str, float]:
    """Return the mean reward of every policy; of those that compare all slates only where these are enumerated."""
    found = {name: float(rewards.mean()) for name, rewards in references(environment, user, slots).items()}
    codes = independent(environment, user, slots)
    found["independent"] = float(environment.reward(user, codes).mean())
    if is_enumerable(len(environment.items), slots):
        rewards = rewards_of(environment, user, all_slates(len(environment.items), slots))
        found["one for everybody"] = float(one_for_everybody(rewards).mean())
        found["independent, best order"] = float(best_order(environment, user, codes).mean())
    return found


def _random_slates(items: int, slots: int) -> Iterator[Tensor]:
    generator = torch.Generator().manual_seed(0)
    for _ in range(RANDOM_SLATES):
        yield torch.randperm(items, generator=generator)[:slots]
