"""SeqGAN: REINFORCE on the discriminator's opinion of completed sentences (Yu et al. 2017, arXiv:1609.05473).

Axes: ``b`` batch, ``t`` time, ``r`` roll-outs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from einops import reduce, repeat
from torch import Tensor

from ...base import Batch
from ...relaxed.baselines import BASELINES, Baseline
from ..generators.base import Generator, without_dropout
from ..relaxed_tokens import presence
from .adversarial import Adversarial
from .base import OBJECTIVES


@OBJECTIVES.register("seqgan")
class SeqGAN(Adversarial):
    """Every token is rewarded with the mean score of sentences that go on from it (the paper's eq. 4 and 7).

    Args:
        size, length, end, discriminator, discriminator_options, loss, reward: see the base class.
        rollouts: completions of every beginning, 16 in the paper. Their number times the length squared is the cost.
        baseline: what is subtracted from the rewards: none as in the paper, moving_average over batches (of all places,
            those behind an end too), or leave_one_out, the mean at the same place of the other sentences. With the
            constant reward these two leave nothing to learn from, for no sentence is better than others
            (moving_average: from the second step on).

    Raises:
        ValueError: an unknown name, no roll-outs, a discriminator of packs, a baseline that needs more than rewards; in
            training, a batch of one sentence for ``leave_one_out`` or the shuffled reward.
    """

    def __init__(
        self,
        size: int,
        length: int,
        end: int | None = None,
        discriminator: str = "cnn",
        discriminator_options: Mapping[str, Any] | None = None,
        loss: str = "standard",
        reward: str = "learned",
        rollouts: int = 16,
        baseline: str = "none",
    ) -> None:
        super().__init__(size, length, end, discriminator, discriminator_options, loss, reward)
        if self.discriminator.pack > 1:
            raise ValueError("seqgan rewards each sentence for itself: use a discriminator with pack=1")
        if rollouts < 1:
            raise ValueError(f"rollouts must be >= 1, got {rollouts}")
        self.rollouts, self.baseline = rollouts, make_baseline(baseline)

    def generator_metrics(self, generator: Generator, batch: Batch) -> dict[str, Tensor]:
        """``loss``, a surrogate whose gradient is the policy gradient, and the mean ``reward``."""
        n, least = len(batch["tokens"]), self.baseline.minimum_samples
        if n < least:
            raise ValueError(
                f"this baseline compares {least} sentences or more of a batch, got {n}; raise --data.batch_size or use "
                "--model.baseline=none"
            )
        tokens = generator.sample(n)
        rewards = self.reward.of_sentences(tokens, lambda: self.opinion(generator, tokens, batch["tokens"]))
        here = presence(tokens, generator.end)  # b t
        with without_dropout(generator):
            log_prob = generator.log_prob(tokens)
        advantage = rewards - self.baseline(rewards, log_prob.detach().exp()[..., None])
        loss = -(advantage.detach() * log_prob * here).sum(1).mean()
        return {"loss": loss, "reward": (rewards * here).sum() / here.sum()}

    @torch.no_grad()
    def opinion(self, generator: Generator, tokens: Tensor, real: Tensor) -> Tensor:
        """The discriminator's reward of every token ``b t``, beside ``real`` text ``b t``."""
        beside = self.discriminator(real)
        return monte_carlo_rewards(
            tokens,
            complete=lambda prefix: generator.sample(len(prefix), prefix=prefix),
            reward=lambda sentences: self.loss.reward(self.discriminator(sentences), beside),
            rollouts=self.rollouts,
        )

    def imitate(self, generator: Generator, n: int) -> Tensor:
        """Exact samples."""
        return generator.sample(n)


def monte_carlo_rewards(
    tokens: Tensor, complete: Callable[[Tensor], Tensor], reward: Callable[[Tensor], Tensor], rollouts: int
) -> Tensor:
    """The expected reward of sentences that begin like each of ``tokens`` up to each place, ``b t -> b t``.

    Args:
        tokens: whole sentences ``b t``; the reward of the last place is their own, without a roll-out.
        complete: beginnings ``n p`` to sentences ``n t``.
        reward: of sentences, ``n t -> n``.
        rollouts: r, completions of every beginning.
    """
    rewards = []
    for p in range(1, tokens.shape[1]):
        prefix = repeat(tokens[:, :p], "b p -> (b r) p", r=rollouts)
        rewards.append(reduce(reward(complete(prefix)), "(b r) -> b", "mean", r=rollouts))
    return torch.stack([*rewards, reward(tokens)], 1)


def make_baseline(name: str) -> Baseline:
    """A baseline of rewards; ValueError for one that needs more than them."""
    baseline = BASELINES[name]
    try:
        return baseline(None)
    except ValueError:
        known = ", ".join(other for other in BASELINES.names() if other != name)
        raise ValueError(f"the baseline '{name}' needs logits, not only rewards; use one of {known}") from None
