"""What a generator is told of the discriminator's opinion: it, or one of two controls, by name in ``REWARDS``.

A change of the figures under adversarial training is the discriminator's merit only where it is larger than under both
controls: reinforcing a model's own samples with a constant reward already sharpens it (see the benchmark's report).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor

from ...registry import Registry


class Reward:
    """The discriminator's opinion as it is."""

    informed: ClassVar[bool] = True  # does it need a discriminator?

    def of_sentences(self, tokens: Tensor, opinion: Callable[[], Tensor]) -> Tensor:
        """A reward for every token ``b t``, from the opinion ``b t``, which costs much and may not be needed."""
        return opinion()

    def of_gradient(self, gradient: Tensor) -> Tensor:
        """What generated points get in the place of the ``gradient`` of their scores, ``b t v``."""
        return gradient


REWARDS: Registry[type[Reward]] = Registry("reward")
REWARDS.register("learned")(Reward)


@REWARDS.register("constant")
class Constant(Reward):
    """1 for everything; there is no discriminator. A constant has no gradient, so without rewards nothing moves."""

    informed = False

    def of_sentences(self, tokens: Tensor, opinion: Callable[[], Tensor]) -> Tensor:
        """Ones."""
        return torch.ones(tokens.shape, device=tokens.device)

    def of_gradient(self, gradient: Tensor) -> Tensor:
        """Zeros."""
        return torch.zeros_like(gradient)


@REWARDS.register("shuffled")
class Shuffled(Reward):
    """The opinion on another sentence of the batch: as large and as varied, and not about this one.

    A gradient of another sentence still says which words are liked at which place, a reward which places are: what is
    taken away is what depends on the sentence. With ``constant`` nothing is left.
    """

    def of_sentences(self, tokens: Tensor, opinion: Callable[[], Tensor]) -> Tensor:
        """The rewards of the sentence before it; ValueError if there is no other."""
        check_others(len(tokens))
        return opinion().roll(1, 0)

    def of_gradient(self, gradient: Tensor) -> Tensor:
        """The gradient of the sentence before it; ValueError if there is no other."""
        check_others(len(gradient))
        return gradient.roll(1, 0)


def check_others(sentences: int) -> None:
    """ValueError for a batch in which a sentence would be given what is said of itself."""
    if sentences < 2:
        raise ValueError(
            "the shuffled reward is that of another sentence of the batch; use --data.batch_size=2 or more"
        )
