"""Slates from a policy network: nested expectations, exact draws with their log-probabilities, and the mode.

No item comes twice: what earlier slots took is masked, in part if it was taken in part. Axes: ``b`` users, ``n`` items,
``k`` slots, ``s`` samples, ``d`` user vector.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ..relaxed import RelaxedCategorical, exclude_taken
from ..relaxed.densities import categorical_kl, log_prob
from .network import SlateNetwork

Reward = Callable[[Tensor], Tensor]  # codes ``... k`` or points ``... k n`` to one value per slate, ``...``


class Slates(NamedTuple):
    """Drawn slates.

    Attributes:
        codes: items, int64 ``... k``.
        log_probs: of each item given those before, in nats, ``... k``.
        kl: KL(policy || uniform) of each choice in nats, ``... k``.
        first: probabilities of the first slot, ``... n``, without a gradient.
    """

    codes: Tensor
    log_probs: Tensor
    kl: Tensor
    first: Tensor


def expected_reward(
    network: SlateNetwork, layer: RelaxedCategorical, user: Tensor, slots: int, reward: Reward, weight: float = 0.0
) -> Tensor:
    """Estimate the expected reward of each user's slate, ``b``, with the layer's gradient: slots nest.

    A pathwise estimator goes through one slate. ``exact`` evaluates all n^k, and others multiply their samples.

    Args:
        network: the policy.
        layer: its estimator.
        user: vectors ``b d``.
        slots: number k of items.
        reward: of complete slates.
        weight: of the KL of each choice from uniform, which is subtracted.
    """
    # Without a gradient through z its codes say all, and rewards of codes are cheaper.
    as_codes = layer.one_hot_samples and not layer.estimator.pathwise

    def decide(state: Tensor, taken: tuple[Tensor, ...]) -> Tensor:
        def cost(z: Tensor) -> Tensor:
            chosen = (*taken, z.argmax(-1) if as_codes else z)
            if len(chosen) == slots:
                return -reward(torch.stack(torch.broadcast_tensors(*chosen), -1 if as_codes else -2))
            return decide(network.advance(state, chosen[-1], layer.one_hot_samples and not as_codes), chosen)

        logits = exclude_taken(network.head(state), *taken)
        value = layer.expectation(logits, cost)
        return value + weight * categorical_kl(logits) if weight else value

    return -decide(network.start(user), ())


def draw_slates(network: SlateNetwork, user: Tensor, slots: int, draw: Callable[[Tensor], Tensor]) -> Slates:
    """Choose item after item by ``draw``, which maps logits ``... n`` to codes ``...``.

    Args:
        network: the policy.
        user: vectors ``... d``.
        slots: number k of items.
        draw: ``layer.sample``, ``layer.mode`` or the like.
    """
    state = network.start(user)
    codes: list[Tensor] = []
    log_probs, kl = [], []
    for slot in range(slots):
        logits = exclude_taken(network.head(state), *codes)
        if not slot:
            first = logits.detach().softmax(-1)
        codes.append(draw(logits))
        log_probs.append(log_prob(logits, codes[-1]))
        kl.append(categorical_kl(logits))
        if slot < slots - 1:
            state = network.advance(state, codes[-1])
    return Slates(torch.stack(codes, -1), torch.stack(log_probs, -1), torch.stack(kl, -1), first)
