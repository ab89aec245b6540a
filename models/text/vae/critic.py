"""A critic tells codes of sentences from codes of the prior. Axes: ``i`` codes, ``w`` width of z."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

STEPS, BATCH, LEARNING_RATE, WEIGHT_DECAY = 500, 256, 1e-3, 1e-2


def build_critic(width: int, hidden: int) -> nn.Sequential:
    """Build a network of two hidden layers from z ``... w`` to a logit ``... 1``, positive for sentences."""
    layers = (nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 1))
    return nn.Sequential(*layers)


def critic_loss(logits: Tensor, prior_logits: Tensor) -> Tensor:
    """Mean logistic loss, in nats, of logits of sentences and of the prior."""
    return (F.softplus(-logits).mean() + F.softplus(prior_logits).mean()) / 2


def two_sample_accuracy(z: Tensor, prior: Tensor, hidden: int = 256) -> float:
    """Train a fresh critic on half of the codes, and return its accuracy on the other half; 0.5 is chance.

    It takes ``STEPS`` steps of AdamW with batches of 256 of either kind.

    Args:
        z: of sentences, ``i w``.
        prior: as many draws from the prior.
        hidden: width of its layers.
    """
    with torch.inference_mode(False), torch.enable_grad():
        (seen, held), (other, held_other) = (part.clone().chunk(2) for part in (z, prior))
        critic = build_critic(z.shape[-1], hidden).to(z)
        optimizer = torch.optim.AdamW(critic.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
        for _ in range(STEPS):
            rows = [torch.randint(len(part), (BATCH,), device=part.device) for part in (seen, other)]
            loss = critic_loss(critic(seen[rows[0]]), critic(other[rows[1]]))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        right = (critic(held) > 0).float().mean() + (critic(held_other) <= 0).float().mean()
    return float(right) / 2
