"""SeqGAN: REINFORCE on the discriminator's score of completed sentences (Yu et al. 2017, arXiv:1609.05473).

Axes: ``b`` batch, ``n`` sentences, ``p`` prefix, ``t`` time, ``r`` roll-outs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import torch
from einops import reduce, repeat
from torch import Tensor

from ....interfaces import Batch
from ....ranges import check_sizes
from ....registry import Spec
from ....vocabulary import Vocabulary
from ...relaxed import trajectory_surrogate
from ...relaxed.baselines import BASELINES, Baseline
from ..generators.base import LanguageModel
from ..generators.dropout import without_dropout
from ..relaxed_tokens import token_mask
from .adversarial import DEFAULT_ADVERSARY, Adversarial, Adversary
from .base import OBJECTIVES


@OBJECTIVES.register("seqgan")
class SeqGAN(Adversarial):
    """Rewards every token with the mean reward of sentences that continue it (eq. 4 and 7 of the paper).

    Args:
        vocabulary: tokens, with EOS if sentences end.
        max_length: longest sentence in tokens.
        adversary: options of ``Adversary``.
        rollouts: completions of every prefix, 16 in the paper. A step costs rollouts * max_length^2 / 2 tokens.
        baseline: what is subtracted from rewards: none as in the paper; moving_average over batches and all positions,
            those after EOS included; or leave_one_out, the mean at the same position of the other sentences. With the
            constant reward the latter two leave no signal (moving_average: from the second step on).

    Raises:
        ValueError: an unknown name, no roll-outs, a discriminator of packs, a baseline that needs more than rewards; in
            training, a batch of one sentence for ``leave_one_out``.

    Example:
        >>> objective = {"name": "seqgan", "rollouts": 4, "adversary": {"discriminator": "recurrent"}}
        >>> gan = OBJECTIVES.build(objective, vocabulary=Vocabulary(["<eos>", "a", "b"]), max_length=5)
    """

    parts: ClassVar[Mapping[str, Any]] = {**Adversarial.parts, "baseline": BASELINES}

    def __init__(
        self,
        vocabulary: Vocabulary,
        max_length: int,
        adversary: Adversary | dict = DEFAULT_ADVERSARY,
        rollouts: int = 16,
        baseline: Spec = "none",
    ) -> None:
        super().__init__(vocabulary, max_length, adversary)
        if self.discriminator.pack > 1:
            raise ValueError("seqgan rewards each sentence for itself: use a discriminator with pack=1")
        check_sizes(rollouts=rollouts)
        self.rollouts, self.baseline = rollouts, build_baseline(baseline)

    def generator_metrics(self, generator: LanguageModel, batch: Batch) -> dict[str, Tensor]:
        """``loss``, a surrogate whose gradient is the policy gradient, and the mean ``reward``."""
        n = len(batch["tokens"])
        check_batch(n, self.baseline)
        tokens = generator.sample(n)
        rewards = self.reward.token_rewards(
            tokens,
            lambda judged: self.rollout_rewards(generator, judged, batch["tokens"]),
            lambda: generator.sample(n),
        )
        mask = token_mask(tokens, self.eos_id)  # b t
        with without_dropout(generator):
            log_prob = generator.log_prob(tokens)
        baseline = self.baseline(rewards, log_prob.detach().exp()[..., None])
        loss = -trajectory_surrogate(log_prob, rewards, baseline, mask).mean()
        return {"loss": loss, "reward": (rewards * mask).sum() / mask.sum()}

    @torch.no_grad()
    def rollout_rewards(self, generator: LanguageModel, tokens: Tensor, real: Tensor) -> Tensor:
        """Expected reward of each token, ``b t``, from completions, given ``real`` text ``b t``."""
        real_scores = self.discriminator(real)
        return monte_carlo_rewards(
            tokens,
            complete=lambda prefix: generator.sample(len(prefix), prefix=prefix),
            reward=lambda sentences: self.sentence_rewards(sentences, real_scores),
            rollouts=self.rollouts,
        )

    def sentence_rewards(self, sentences: Tensor, real_scores: Tensor) -> Tensor:
        """Rewards of complete sentences, ``n t -> n``, given the scores ``b`` of real ones."""
        return self.loss.reward(self.discriminator(sentences), real_scores)

    def sample_fake(self, generator: LanguageModel, n: int) -> Tensor:
        """Exact samples, ``n t``."""
        return generator.sample(n)


def monte_carlo_rewards(
    tokens: Tensor, complete: Callable[[Tensor], Tensor], reward: Callable[[Tensor], Tensor], rollouts: int
) -> Tensor:
    """Estimate the expected reward of sentences that share each prefix of ``tokens``, ``b t -> b t``.

    Args:
        tokens: complete sentences ``b t``; the last position gets the sentence's own reward, without roll-outs.
        complete: completes prefixes ``n p`` to sentences ``n t``.
        reward: rewards of sentences, ``n t -> n``.
        rollouts: completions r of every prefix.
    """
    rewards = []
    for p in range(1, tokens.shape[1]):
        prefix = repeat(tokens[:, :p], "b p -> (b r) p", r=rollouts)
        rewards.append(reduce(reward(complete(prefix)), "(b r) -> b", "mean", r=rollouts))
    return torch.stack([*rewards, reward(tokens)], 1)


def build_baseline(spec: Spec) -> Baseline:
    """Build a baseline of rewards; ValueError for one that needs logits."""
    name, _ = BASELINES.read(spec)
    try:
        return BASELINES.build(spec, event_shape=None)
    except ValueError:
        known = ", ".join(other for other in BASELINES.names() if other != name)
        raise ValueError(f"the baseline '{name}' needs logits, not only rewards; use one of {known}") from None


def check_batch(sentences: int, baseline: Baseline, option: str = "baseline") -> None:
    """Check that a baseline has as many sentences as it compares; else ValueError with the objective's option."""
    if sentences < baseline.minimum_samples:
        raise ValueError(
            f"this baseline compares {baseline.minimum_samples} sentences or more of a batch, got {sentences}; raise "
            f"--data.batch_size or use --model.objective.{option}=none"
        )
