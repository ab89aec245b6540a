"""The part that objectives with a domain reward share: scores of sampled sentences, their controls and their metrics.

Axes: ``n`` sentences, ``t`` time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ....interfaces import TextSource
from ....ranges import check_numbers
from ....registry import Spec
from ....vocabulary import Vocabulary
from ...relaxed.baselines import BASELINES, Baseline
from ..domain_rewards import DOMAIN_REWARDS, DomainReward
from ..rewards import REWARDS
from .adversarial import Adversarial
from .recent_copies import RecentCopies
from .seqgan import build_baseline

WHOLE = "whole"
COPIES: dict[str, Callable[[Tensor], Tensor]] = {  # share of the reward that each of some copies gets
    WHOLE: torch.ones_like,
    "shared": torch.reciprocal,  # Guimaraes et al. 2017
    "unique": lambda copies: (copies == 1).to(copies),  # Blaschke et al. 2020, with a bucket of one
}
EVERYTHING, TRAINING = 2**31, "training text"  # as many sentences as there are, by the name of their source
TRIED = 4  # sentences of each source that a reward is tried on
CONTROLS = ("constant", "shuffled")


class DomainSignal(nn.Module):
    """A domain reward of token ids.

    Args:
        vocabulary: tokens, by which sentences are written out.
        reward: spec of a domain reward.
        control: constant (1 for every sentence), shuffled (that of another sentence), or None for the reward itself.
        copies: what sentences get that were drawn more than once, so that repeating one good sentence is not optimal,
            a name in ``COPIES``. Rewards then depend on the batch.
        memory: sentences of earlier batches whose copies count as well; 0 for none.

    Raises:
        ValueError: an unknown name, a reward that is not installed, a memory that is negative or not used.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        reward: Spec,
        control: str | None = None,
        copies: str = WHOLE,
        memory: int = 0,
    ) -> None:
        super().__init__()
        if copies not in COPIES:
            raise ValueError(f"copies must be one of {', '.join(COPIES)}, got {copies!r}")
        if memory and copies == WHOLE:
            raise ValueError("memory is of copies that lose reward: set copies=shared or copies=unique, or memory=0")
        if control not in (None, *CONTROLS):
            raise ValueError(f"domain_control must be {' or '.join(CONTROLS)}, or null for the reward, got {control!r}")
        self.vocabulary = vocabulary
        self.rule = copies
        self.copies = None if copies == WHOLE else RecentCopies(memory)
        self.reward: DomainReward = DOMAIN_REWARDS.build(reward)
        self.control = REWARDS[control or "learned"]()

    def learn(self, source: TextSource | None) -> None:
        """Give the training sentences to a reward that needs them, and try it on some of the data.

        Raises:
            ValueError: data without the training sentences that are needed; errors of ``DomainReward``.
        """
        samples = _samples(source, TRIED)
        if self.reward.needs_training_text:
            if TRAINING not in samples:  # asked first for a few: data that are drawn on demand have no end
                raise ValueError("this domain reward compares with training text, and these data have none")
            self.reward.learn(self.written(_samples(source, EVERYTHING)[TRAINING]))
        for tokens in samples.values():  # a reward that fails does so before training
            self.reward(self.written(tokens))

    def written(self, tokens: Tensor) -> list[str]:
        """Write out token ids ``n t``."""
        return [self.vocabulary.decode(row) for row in tokens.cpu()]

    def rewards(self, tokens: Tensor, draw: Callable[[], Tensor]) -> Tensor:
        """Return rewards of sentences, or those of the control, ``n t -> n``, float32.

        Args:
            tokens: the sentences.
            draw: returns as many others, for the shuffled control.

        Raises:
            ValueError: as of ``DomainReward``.
        """
        return self.control.token_rewards(tokens, lambda judged: self._scores(judged)[:, None], draw)[:, 0]

    def _scores(self, tokens: Tensor) -> Tensor:
        sentences = self.written(tokens)
        scores = self.reward(sentences)
        if self.copies is not None:
            scores = scores * COPIES[self.rule](self.copies(self.reward.forms(sentences))).to(scores)
        return scores.to(tokens.device)

    def metrics(self, tokens: Tensor) -> dict[str, float]:
        """Return the mean score of sentences ``n t``, ``domain_reward``, and of different valid ones, ``..._distinct``.

        An invalid sentence scores 0 in the former. The latter is missing without a valid one.
        """
        sentences = self.written(tokens)
        found = {"domain_reward": float(self.reward(sentences).mean())}
        if valid := sorted({form for form in self.reward.forms(sentences) if form is not None}):
            found["domain_reward_distinct"] = float(self.reward(valid).mean())  # a canonical form is its own
        return found


def _samples(source: TextSource | None, number: int) -> dict[str, Tensor]:
    """Return up to ``number`` sentences of each kind that a source has, by name; a mere loader has no source."""
    return {} if source is None else source.reference_samples(number, torch.Generator().manual_seed(0))


class Mixture(Adversarial):
    """Base class of objectives that mix a discriminator with a domain reward.

    Attributes:
        weight: of the discriminator, in [0, 1]; the domain reward has the remaining weight.
        domain: the domain reward.
        baseline: what is subtracted from rewards.
    """

    parts: ClassVar[Mapping[str, Any]] = {"domain_reward": DOMAIN_REWARDS, "baseline": BASELINES}
    weight: float
    domain: DomainSignal
    baseline: Baseline

    def mix(self, weight: float, domain: DomainSignal, baseline: Spec) -> None:
        """Set the attributes; ValueError for a weight outside [0, 1], or a baseline that needs more than rewards."""
        check_numbers(weight=weight)
        if not 0 <= weight <= 1:
            raise ValueError(
                f"weight must be in [0, 1]: 1 is the discriminator alone, 0 the domain reward; got {weight}"
            )
        self.weight, self.domain, self.baseline = weight, domain, build_baseline(baseline)

    def discriminator_parameters(self) -> list[nn.Parameter]:
        """Parameters of the discriminator; empty where nothing comes from it."""
        return super().discriminator_parameters() if self.weight else []

    def learn(self, source: TextSource | None) -> None:
        """Give the training sentences to a domain reward that needs them."""
        self.domain.learn(source)

    def sample_metrics(self, tokens: Tensor) -> dict[str, float]:
        """Return the domain reward of samples ``n t``."""
        return self.domain.metrics(tokens)
