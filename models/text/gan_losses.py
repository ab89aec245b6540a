"""GAN losses from the scores of real and generated text, ``b`` each, by name in ``LOSSES``.

``standard``: Goodfellow et al. 2014 (arXiv:1406.2661), with the non-saturating generator loss (section 3).
``relativistic``: Jolicoeur-Martineau 2018 (arXiv:1807.00734), section 4.1, as in RelGAN. ``hinge``: Lim & Ye 2017
(arXiv:1705.02894), eq. 7. ``wasserstein``: Gulrajani et al. 2017 (arXiv:1704.00028), eq. 3, with its gradient penalty.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import softplus

from ...registry import Registry

Loss = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class GANLoss:
    """Losses of both players.

    Attributes:
        discriminator: its loss from the scores of real and generated text, ``b, b -> ``.
        generator: likewise.
        reward: rewards of sentences with scores ``n``, given the scores ``b`` of real ones, ``n, b -> n``. Where the
            loss leaves a constant offset of all scores undetermined, rewards change by a constant at most.
        penalty: weight of the gradient penalty in the discriminator's loss.
    """

    discriminator: Loss
    generator: Loss
    reward: Loss
    penalty: float = 0.0


def standard_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """Cross-entropy of real against generated."""
    return softplus(-real).mean() + softplus(fake).mean()


def standard_generator(real: Tensor, fake: Tensor) -> Tensor:
    """-log of the probability that generated text is real."""
    return softplus(-fake).mean()


def standard_reward(score: Tensor, real: Tensor) -> Tensor:
    """Probability that a sentence is real."""
    return torch.sigmoid(score)


def relativistic_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """-log of the probability that real text is more real than generated text."""
    return softplus(fake - real).mean()


def relativistic_generator(real: Tensor, fake: Tensor) -> Tensor:
    """-log of the probability that generated text is more real than real text."""
    return softplus(real - fake).mean()


def relativistic_reward(score: Tensor, real: Tensor) -> Tensor:
    """Probability that a sentence is more real than a real one, the mean over those."""
    return torch.sigmoid(score[:, None] - real).mean(1)


def hinge_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """Hinge losses with margin 1 around 0."""
    return (1 - real).relu().mean() + (1 + fake).relu().mean()


def wasserstein_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """Negative difference of the mean scores."""
    return fake.mean() - real.mean()


def score_generator(real: Tensor, fake: Tensor) -> Tensor:
    """Negative mean score of generated text."""
    return -fake.mean()


def score_reward(score: Tensor, real: Tensor) -> Tensor:
    """The score itself."""
    return score


LOSSES: Registry[GANLoss] = Registry("loss")
LOSSES.register("standard")(GANLoss(standard_discriminator, standard_generator, standard_reward))
LOSSES.register("relativistic")(GANLoss(relativistic_discriminator, relativistic_generator, relativistic_reward))
LOSSES.register("hinge")(GANLoss(hinge_discriminator, score_generator, score_reward))
LOSSES.register("wasserstein")(GANLoss(wasserstein_discriminator, score_generator, score_reward, penalty=10.0))


def gradient_penalty(score: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor) -> Tensor:
    """Return the mean of (|gradient of the score| - 1)^2 at random points between relaxed tokens ``b t v``."""
    position = torch.rand(len(real), 1, 1, device=real.device, dtype=real.dtype)
    between = torch.lerp(real, fake, position).detach().requires_grad_()
    with torch.backends.cudnn.flags(enabled=False):  # its recurrent layers have no second derivative
        total = score(between).sum()
    (grad,) = torch.autograd.grad(total, between, create_graph=True)
    return (grad.flatten(1).norm(dim=1) - 1).square().mean()
