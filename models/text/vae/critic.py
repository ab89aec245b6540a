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


def fresh_critic(z: Tensor, prior: Tensor, hidden: int = 256) -> nn.Sequential:
    """Train a critic by ``STEPS`` steps of AdamW, with batches of 256 of either kind.

    Args:
        z: of sentences, ``i w``.
        prior: draws from the prior, ``j w``.
        hidden: width of its layers.
    """
    with torch.inference_mode(False), torch.enable_grad():
        both = (z.clone(), prior.clone())
        critic = build_critic(z.shape[-1], hidden).to(z)
        optimizer = torch.optim.AdamW(critic.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
        for _ in range(STEPS):
            seen, other = (part[torch.randint(len(part), (BATCH,), device=part.device)] for part in both)
            loss = critic_loss(critic(seen), critic(other))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return critic


@torch.no_grad()
def accuracy(critic: nn.Module, z: Tensor, prior: Tensor) -> float:
    """Return the share of codes ``i w`` and of draws from the prior ``j w`` that a critic tells, half of it each."""
    right = (critic(z) > 0).float().mean() + (critic(prior) <= 0).float().mean()
    return float(right) / 2


def two_sample_accuracy(z: Tensor, prior: Tensor, hidden: int = 256) -> float:
    """Train a fresh critic on half of the codes, and return its accuracy on the other half; 0.5 is chance.

    Args:
        z: of sentences, ``i w``.
        prior: draws from the prior, or any other sample, ``j w``.
        hidden: width of its layers.
    """
    (seen, held), (other, held_other) = z.chunk(2), prior.chunk(2)
    return accuracy(fresh_critic(seen, other, hidden), held, held_other)
