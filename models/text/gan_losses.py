"""Losses of discriminator and generator from the scores of real and generated text, ``b`` each, by name.

``standard``: Goodfellow et al. 2014 (arXiv:1406.2661), with the generator's loss that does not saturate (section 3).
``relativistic``: Jolicoeur-Martineau 2018 (arXiv:1807.00734), section 4.1, RelGAN's. ``hinge``: Lim & Ye 2017
(arXiv:1705.02894), eq. 7. ``wasserstein``: Gulrajani et al. 2017 (arXiv:1704.00028), eq. 3, with its penalty.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import softplus

from ...registry import Registry

Pair = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class GANLoss:
    """One game.

    Attributes:
        discriminator: its loss from the scores of real and of generated text, ``b, b -> ``.
        generator: likewise.
        reward: of sentences with scores ``n``, beside real ones with scores ``b``, for a generator that learns by
            rewards: ``n, b -> n``. A level of all scores that the loss leaves open may only add a constant.
        penalty: weight of the gradient penalty in the discriminator's loss.
    """

    discriminator: Pair
    generator: Pair
    reward: Pair
    penalty: float = 0.0


def probability(score: Tensor, real: Tensor) -> Tensor:
    """That a sentence is real."""
    return torch.sigmoid(score)


def probability_beside(score: Tensor, real: Tensor) -> Tensor:
    """That a sentence is more real than a real one, the mean over those."""
    return torch.sigmoid(score[:, None] - real).mean(1)


def identity(score: Tensor, real: Tensor) -> Tensor:
    """The score itself."""
    return score


LOSSES: Registry[GANLoss] = Registry("loss")
LOSSES.register("standard")(
    GANLoss(
        discriminator=lambda real, fake: softplus(-real).mean() + softplus(fake).mean(),
        generator=lambda real, fake: softplus(-fake).mean(),
        reward=probability,
    )
)
LOSSES.register("relativistic")(
    GANLoss(
        discriminator=lambda real, fake: softplus(fake - real).mean(),
        generator=lambda real, fake: softplus(real - fake).mean(),
        reward=probability_beside,
    )
)
LOSSES.register("hinge")(
    GANLoss(
        discriminator=lambda real, fake: (1 - real).relu().mean() + (1 + fake).relu().mean(),
        generator=lambda real, fake: -fake.mean(),
        reward=identity,
    )
)
LOSSES.register("wasserstein")(
    GANLoss(
        discriminator=lambda real, fake: fake.mean() - real.mean(),
        generator=lambda real, fake: -fake.mean(),
        reward=identity,
        penalty=10.0,
    )
)


def gradient_penalty(score: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor) -> Tensor:
    """(|gradient of the score| - 1)^2 on the lines between points ``b t v``, one place on each; the mean, a scalar."""
    place = torch.rand(len(real), 1, 1, device=real.device, dtype=real.dtype)
    between = torch.lerp(real, fake, place).detach().requires_grad_()
    with torch.backends.cudnn.flags(enabled=False):  # its recurrent layers have no second derivative
        total = score(between).sum()
    (slope,) = torch.autograd.grad(total, between, create_graph=True)
    return (slope.flatten(1).norm(dim=1) - 1).square().mean()
