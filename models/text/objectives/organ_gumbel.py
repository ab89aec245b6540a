"""ORGAN with the discriminator's own gradient: relaxed samples for D, REINFORCE for the domain reward.

Axes: ``b`` batch, ``n`` sentences, ``t`` time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from ....interfaces import Batch
from ....registry import Spec
from ....vocabulary import Vocabulary
from ..generators.base import LanguageModel
from .adversarial import DEFAULT_ADVERSARY, Adversary
from .base import OBJECTIVES
from .domain_signal import WHOLE, DomainSignal, Mixture
from .gumbel_gan import GumbelGAN
from .organ import policy_loss
from .seqgan import check_batch


@OBJECTIVES.register("organ_gumbel")
class GumbelORGAN(Mixture, GumbelGAN):
    """``weight`` times the loss of the Gumbel GAN, and (1 - weight) times minus the expected domain reward.

    The first part has a pathwise gradient, through relaxed samples. The second is a black box, and has that of
    REINFORCE, on exact samples.

    Args:
        vocabulary: tokens, with EOS if sentences end.
        max_length: longest sentence in tokens.
        domain_reward: R, in [0, 1], as for ``organ``.
        weight: of the discriminator, in [0, 1].
        adversary, estimator, temperature, feedback: as for ``gumbel``.
        domain_control, copies, memory, baseline: as for ``organ``.

    Raises:
        ValueError: what ``gumbel`` and ``organ`` refuse.

    Example:
        >>> objective = {"name": "organ_gumbel", "domain_reward": {"name": "token_share", "tokens": ["a"]}}
        >>> organ = OBJECTIVES.build(objective, vocabulary=Vocabulary(["<eos>", "a", "b"]), max_length=5)
    """

    parts: ClassVar[Mapping[str, Any]] = {**GumbelGAN.parts, **Mixture.parts}

    def __init__(
        self,
        vocabulary: Vocabulary,
        max_length: int,
        domain_reward: Spec,
        weight: float = 0.5,
        adversary: Adversary | dict = DEFAULT_ADVERSARY,
        estimator: Spec = "straight_through_gumbel_softmax",
        temperature: float | Spec = 1.0,
        feedback: str = "straight_through",
        domain_control: str | None = None,
        copies: str = WHOLE,
        memory: int = 0,
        baseline: Spec = "leave_one_out",
    ) -> None:
        super().__init__(vocabulary, max_length, adversary, estimator, temperature, feedback)
        self.mix(weight, DomainSignal(vocabulary, domain_reward, domain_control, copies, memory), baseline)

    def generator_metrics(self, generator: LanguageModel, batch: Batch) -> dict[str, Tensor]:
        """``loss``, its parts ``score`` and ``domain_reward``: means over the samples."""
        n = len(batch["tokens"])
        check_batch(n, self.baseline)
        metrics = super().generator_metrics(generator, batch) if self.weight else {}
        loss = self.weight * metrics["loss"] if self.weight else torch.zeros((), device=batch["tokens"].device)
        if self.weight < 1:
            tokens = generator.sample(n)
            rewards = self.domain.rewards(tokens, lambda: generator.sample(n))
            loss = loss + (1 - self.weight) * policy_loss(generator, tokens, rewards, self.baseline, self.eos_id)
            metrics["domain_reward"] = rewards.mean()
        return {**metrics, "loss": loss}
