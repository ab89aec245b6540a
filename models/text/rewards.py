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

    def token_rewards(self, tokens: Tensor, rewards: Callable[[Tensor], Tensor], draw: Callable[[], Tensor]) -> Tensor:
        """Return rewards of sentences, ``b t``, or ``b 1`` for one that holds for a whole sentence.

        Args:
            tokens: the sentences, ``b t``.
            rewards: the reward of sentences; not called without need.
            draw: returns other sentences of the same generator, as many.
        """
        return rewards(tokens)

    def generator_gradient(self, gradient: Tensor, pack: int = 1) -> Tensor:
        """Return the gradient that relaxed tokens get in place of the score's, ``b t v``.

        Args:
            gradient: that of the score.
            pack: sentences that the discriminator scores together.
        """
        return gradient


REWARDS: Registry[type[Reward]] = Registry("reward", base=Reward)
REWARDS.register("learned")(Reward)


@REWARDS.register("constant")
class Constant(Reward):
    """Reward 1 without a discriminator. Its gradient is zero, so only score-function objectives move."""

    uses_discriminator = False

    def token_rewards(self, tokens: Tensor, rewards: Callable[[Tensor], Tensor], draw: Callable[[], Tensor]) -> Tensor:
        """Ones, ``b 1``."""
        return torch.ones(len(tokens), 1, device=tokens.device)

    def generator_gradient(self, gradient: Tensor, pack: int = 1) -> Tensor:
        """Zeros, ``b t v``."""
        return torch.zeros_like(gradient)


@REWARDS.register("shuffled")
class Shuffled(Reward):
    """The reward of another sentence: same size and variance, but independent of this sentence.

    It keeps what does not depend on the sentence: a gradient still favours words by position, a reward favours
    positions. With ``constant`` nothing is kept.
    """

    def token_rewards(self, tokens: Tensor, rewards: Callable[[Tensor], Tensor], draw: Callable[[], Tensor]) -> Tensor:
        """Rewards of other sentences.

        They are drawn for it. Had they come from the batch, a baseline that compares its sentences would hold this
        sentence's own reward, and a share of the true gradient would remain.
        """
        return rewards(draw())

    def generator_gradient(self, gradient: Tensor, pack: int = 1) -> Tensor:
        """Gradient of a sentence of the previous pack, ``b t v``; ValueError for a single pack."""
        check_others(len(gradient), pack)
        return gradient.roll(pack, 0)


def check_others(sentences: int, pack: int = 1) -> None:
    """Check that a batch has sentences that are not scored together, so that none gets its own gradient.

    Raises:
        ValueError: a batch of one sentence, or of one pack.
    """
    if sentences < 2 * pack:
        raise ValueError(
            "the shuffled control gives each sentence the gradient of another of the batch; use "
            f"--data.batch_size={2 * pack} or more"
        )
