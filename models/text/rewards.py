"""Reward signals for adversarial training: the discriminator's score, or a constant or shuffled control.

They are filed by name in ``REWARDS``. A change under adversarial training is due to the discriminator only where it
exceeds that under both controls: a constant reward on a model's own samples already sharpens the model.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor

from ...registry import Registry


class Reward:
    """The discriminator's score, unchanged."""

    uses_discriminator: ClassVar[bool] = True  # is there a discriminator to train?

    def token_rewards(self, tokens: Tensor, rewards: Callable[[], Tensor]) -> Tensor:
        """Return rewards of tokens ``b t`` from the discriminator's ``b t``, which are computed only if needed."""
        return rewards()

    def generator_gradient(self, gradient: Tensor) -> Tensor:
        """Return the gradient that relaxed tokens get in place of the score's, ``b t v``."""
        return gradient


REWARDS: Registry[type[Reward]] = Registry("reward", base=Reward)
REWARDS.register("learned")(Reward)


@REWARDS.register("constant")
class Constant(Reward):
    """Reward 1 without a discriminator. Its gradient is zero, so only score-function objectives move."""

    uses_discriminator = False

    def token_rewards(self, tokens: Tensor, rewards: Callable[[], Tensor]) -> Tensor:
        """Ones, ``b t``."""
        return torch.ones(tokens.shape, device=tokens.device)

    def generator_gradient(self, gradient: Tensor) -> Tensor:
        """Zeros, ``b t v``."""
        return torch.zeros_like(gradient)


@REWARDS.register("shuffled")
class Shuffled(Reward):
    """The reward of another sentence of the batch: same size and variance, but independent of this sentence.

    It keeps what does not depend on the sentence: a gradient still favours words by position, a reward favours
    positions. With ``constant`` nothing is kept.
    """

    def token_rewards(self, tokens: Tensor, rewards: Callable[[], Tensor]) -> Tensor:
        """Rewards of the previous sentence, ``b t``; ValueError for a single sentence."""
        check_others(len(tokens))
        return rewards().roll(1, 0)

    def generator_gradient(self, gradient: Tensor) -> Tensor:
        """Gradient of the previous sentence, ``b t v``; ValueError for a single sentence."""
        check_others(len(gradient))
        return gradient.roll(1, 0)


def check_others(sentences: int) -> None:
    """Check that a batch has two sentences or more, so that no sentence gets its own reward; else ValueError."""
    if sentences < 2:
        raise ValueError(
            "the shuffled reward is that of another sentence of the batch; use --data.batch_size=2 or more"
        )
