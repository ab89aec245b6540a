"""What both adversarial objectives share: a discriminator that learns to tell a generator's text from real text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ....registry import unknown_arguments
from ...base import Batch
from ...relaxed.sampling import one_hot
from ..discriminators import DISCRIMINATORS
from ..gan_losses import LOSSES, gradient_penalty
from ..generators.base import GIVEN, Generator
from ..rewards import REWARDS
from .base import Objective


class Adversarial(Objective):
    """Subclasses write ``generator_metrics`` and ``imitate``.

    Args:
        size: vocabulary.
        length: tokens of the longest text.
        end: the token that ends a sentence, if there is one.
        discriminator: name of the discriminator.
        discriminator_options: its arguments.
        loss: name of the losses.
        reward: learned, or a control.
    """

    adversarial = True

    def __init__(
        self,
        size: int,
        length: int,
        end: int | None,
        discriminator: str,
        discriminator_options: Mapping[str, Any] | None,
        loss: str,
        reward: str,
    ) -> None:
        super().__init__()
        options = dict(discriminator_options or {})
        unknown_arguments(f"discriminator '{discriminator}'", DISCRIMINATORS[discriminator], options, GIVEN)
        self.size = size
        self.discriminator = DISCRIMINATORS[discriminator](size, length, end, **options)
        self.loss, self.reward = LOSSES[loss], REWARDS[reward]()

    def imitate(self, generator: Generator, n: int) -> Tensor:
        """Samples as the discriminator sees them, codes ``n t`` or points ``n t v``, without a gradient."""
        raise NotImplementedError

    def discriminator_loss(self, generator: Generator, batch: Batch) -> Tensor:
        """The discriminator's loss on a batch and as many samples."""
        real = batch["tokens"]
        with torch.no_grad():
            fake = self.imitate(generator, len(real))
        loss = self.loss.discriminator(self.discriminator(real), self.discriminator(fake))
        if self.loss.penalty:
            dtype = self.discriminator.table.dtype
            points = (x.to(dtype) if x.is_floating_point() else one_hot(x, self.size, dtype) for x in (real, fake))
            loss = loss + self.loss.penalty * gradient_penalty(self.discriminator, *points)
        return loss

    def discriminator_parameters(self) -> list[nn.Parameter]:
        """All of the discriminator's, if anything depends on it."""
        return list(self.discriminator.parameters()) if self.reward.informed else []
