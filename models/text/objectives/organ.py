"""ORGAN: policy gradients on a mixture of the discriminator's score and a domain reward of whole sentences.

Guimaraes et al. 2017 (arXiv:1705.10843). There are no roll-outs: every token gets the reward of its sentence, less a
baseline. Axes: ``b`` batch, ``n`` sentences, ``t`` time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ....interfaces import Batch
from ....registry import Spec
from ....vocabulary import Vocabulary
from ...relaxed import trajectory_surrogate
from ..generators.base import LanguageModel
from ..generators.dropout import without_dropout
from ..relaxed_tokens import token_mask
from .adversarial import DEFAULT_ADVERSARY, Adversarial, Adversary
from .base import OBJECTIVES
from .domain_signal import WHOLE, DomainSignal, Mixture
from .seqgan import check_batch


@OBJECTIVES.register("organ")
class ORGAN(Mixture):
    """REINFORCE on ``weight * D(x) + (1 - weight) * R(x)`` of whole sentences.

    D(x) is the reward of the adversary's loss: with the standard loss the probability that x is real.

    Args:
        vocabulary: tokens, with EOS if sentences end.
        max_length: longest sentence in tokens.
        domain_reward: R, in [0, 1]: log_p, qed, validity, ... of molecules, ``{name: token_share, tokens: [...]}``, or
            your own.
        weight: of the discriminator, in [0, 1]. 0 is reinforcement learning on R alone, without a discriminator.
        adversary: options of ``Adversary``; its rewards constant and shuffled are controls of D.
        domain_control: constant or shuffled R: controls.
        copies: what a sentence gets that is in the batch more than once. whole: R each time. shared: R divided by the
            number of copies, as in the paper. unique: nothing. The rewards of others then depend on a sentence, and
            leave_one_out has a bias that falls with the size of the batch.
        memory: sentences of earlier batches whose copies count as well, so that R falls for what is drawn again and
            again, in whatever batch; 0 for none.
        baseline: what is subtracted from rewards: leave_one_out, the mean of the other sentences; moving_average; or
            none.

    Raises:
        ValueError: an unknown name; a weight outside [0, 1]; a discriminator of packs; a reward that is not installed;
            a baseline that needs more than rewards; in training, a batch of one sentence for ``leave_one_out``, or a
            reward outside [0, 1].

    Example:
        >>> objective = {"name": "organ", "domain_reward": {"name": "token_share", "tokens": ["a"]}, "weight": 0.5}
        >>> organ = OBJECTIVES.build(objective, vocabulary=Vocabulary(["<eos>", "a", "b"]), max_length=5)
    """

    parts: ClassVar[Mapping[str, Any]] = {**Adversarial.parts, **Mixture.parts}

    def __init__(
        self,
        vocabulary: Vocabulary,
        max_length: int,
        domain_reward: Spec,
        weight: float = 0.5,
        adversary: Adversary | dict = DEFAULT_ADVERSARY,
        domain_control: str | None = None,
        copies: str = WHOLE,
        memory: int = 0,
        baseline: Spec = "leave_one_out",
    ) -> None:
        super().__init__(vocabulary, max_length, adversary)
        if self.discriminator.pack > 1:
            raise ValueError("organ rewards each sentence for itself: use a discriminator with pack=1")
        self.mix(weight, DomainSignal(vocabulary, domain_reward, domain_control, copies, memory), baseline)

    def generator_metrics(self, generator: LanguageModel, batch: Batch) -> dict[str, Tensor]:
        """``loss``, a surrogate whose gradient is the policy gradient, and means of ``reward`` and its parts in use."""
        n = len(batch["tokens"])
        check_batch(n, self.baseline)
        tokens = generator.sample(n)
        scores = self.discriminator_rewards(tokens, batch["tokens"], lambda: generator.sample(n))  # n
        used: dict[str, Tensor] = {"score": scores} if self.weight else {}
        mixture = self.weight * scores
        if self.weight < 1:
            used["domain_reward"] = self.domain.rewards(tokens, lambda: generator.sample(n))
            mixture = mixture + (1 - self.weight) * used["domain_reward"]
        loss = policy_loss(generator, tokens, mixture, self.baseline, self.eos_id)
        return {"loss": loss, "reward": mixture.mean(), **{name: values.mean() for name, values in used.items()}}

    @torch.no_grad()
    def discriminator_rewards(self, tokens: Tensor, real: Tensor, draw: Callable[[], Tensor]) -> Tensor:
        """Return rewards of the discriminator, ``n``; zeros at weight 0.

        Args:
            tokens: sentences ``n t``.
            real: sentences of the data, ``b t``.
            draw: returns as many other sentences of the generator, for the shuffled control.
        """
        if not self.weight:
            return torch.zeros(len(tokens), device=tokens.device)

        def rewards(judged: Tensor) -> Tensor:
            return self.loss.reward(self.discriminator(judged), self.discriminator(real))[:, None]

        return self.reward.token_rewards(tokens, rewards, draw)[:, 0]

    def sample_fake(self, generator: LanguageModel, n: int) -> Tensor:
        """Exact samples, ``n t``."""
        return generator.sample(n)


def policy_loss(
    generator: LanguageModel, tokens: Tensor, rewards: Tensor, baseline: nn.Module, eos_id: int | None
) -> Tensor:
    """Return minus the surrogate of the policy gradient, for drawn sentences ``n t`` and their rewards ``n``.

    The gradient is that of minus the expected reward, if a baseline does not depend on its own sentence.
    """
    with without_dropout(generator):
        log_prob = generator.log_prob(tokens)  # n t
    # Baselines compare samples along the first axis; a sentence is one example, and none of them reads probabilities.
    subtracted = baseline(rewards[:, None], log_prob.detach().exp()[:, None])
    advantage = (rewards[:, None] - subtracted)[:, 0]
    return -trajectory_surrogate(log_prob, advantage, mask=token_mask(tokens, eos_id)).mean()
