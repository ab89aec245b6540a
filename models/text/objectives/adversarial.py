"""The base of adversarial objectives: a discriminator that learns to tell generated text from real text.

Axes: ``b`` batch, ``n`` samples, ``t`` time, ``v`` vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ....interfaces import Batch
from ....ranges import check_positive, check_sizes
from ....registry import Spec, from_options
from ....vocabulary import Vocabulary
from ...relaxed.sampling import one_hot
from ..discriminators import DISCRIMINATORS, Discriminator
from ..gan_losses import LOSSES, gradient_penalty
from ..generators.base import LanguageModel
from ..rewards import REWARDS
from .base import Objective


@dataclass(frozen=True)
class Adversary:
    """The discriminator and how it trains.

    Args:
        discriminator: cnn, recurrent or mlp, or ``{name: cnn, width: 16}``.
        loss: standard, relativistic, hinge, or wasserstein with a gradient penalty.
        reward: learned, or one of its controls: constant, shuffled.
        steps: discriminator steps per generator step.
        learning_rate: peak learning rate of the discriminator.

    Raises:
        ValueError: an unknown name or discriminator option, no steps, a learning rate that is not > 0.
    """

    parts: ClassVar[Mapping[str, Any]] = {"discriminator": DISCRIMINATORS}

    discriminator: Spec = "cnn"
    loss: str = "standard"
    reward: str = "learned"
    steps: int = 1
    learning_rate: float = 1e-4

    def __post_init__(self) -> None:
        DISCRIMINATORS.read(self.discriminator)
        LOSSES[self.loss], REWARDS[self.reward]
        check_sizes(**{"adversary.steps": self.steps})
        check_positive(**{"adversary.learning_rate": self.learning_rate})


DEFAULT_ADVERSARY = Adversary()


class Adversarial(Objective):
    """Base class of adversarial objectives. A subclass writes ``generator_metrics`` and ``sample_fake``.

    Args:
        vocabulary: tokens, with EOS if sentences end.
        max_length: longest sentence in tokens.
        adversary: options of ``Adversary``.
    """

    adversarial = True
    likelihood = False
    parts: ClassVar[Mapping[str, Any]] = {"adversary": Adversary}

    def __init__(
        self, vocabulary: Vocabulary, max_length: int, adversary: Adversary | dict = DEFAULT_ADVERSARY
    ) -> None:
        super().__init__(vocabulary, max_length)
        self.adversary = from_options(Adversary, adversary)
        self.discriminator: Discriminator = DISCRIMINATORS.build(
            self.adversary.discriminator, vocabulary=vocabulary, max_length=max_length
        )
        self.loss, self.reward = LOSSES[self.adversary.loss], REWARDS[self.adversary.reward]()

    def sample_fake(self, generator: LanguageModel, n: int) -> Tensor:
        """Samples for the discriminator, without gradient: token ids ``n t`` or relaxed tokens ``n t v``."""
        raise NotImplementedError

    def discriminator_loss(self, generator: LanguageModel, batch: Batch) -> Tensor:
        """Discriminator loss of a batch and as many samples, a scalar."""
        real = batch["tokens"]
        with torch.no_grad():
            fake = self.sample_fake(generator, len(real))
        loss = self.loss.discriminator(self.discriminator(real), self.discriminator(fake))
        if self.loss.penalty:
            dtype = self.discriminator.table.dtype
            relaxed = (
                x.to(dtype) if x.is_floating_point() else one_hot(x, self.vocab_size, dtype) for x in (real, fake)
            )
            loss = loss + self.loss.penalty * gradient_penalty(self.discriminator, *relaxed)
        return loss

    def generator_parameters(self) -> list[nn.Parameter]:
        """Parameters of the objective except the discriminator's."""
        return [value for name, value in self.named_parameters() if not name.startswith("discriminator.")]

    def discriminator_parameters(self) -> list[nn.Parameter]:
        """Parameters of the discriminator; empty for the constant-reward control."""
        return list(self.discriminator.parameters()) if self.reward.uses_discriminator else []
