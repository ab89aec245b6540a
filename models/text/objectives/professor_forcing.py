"""Professor Forcing: states of the free-running model are made to look like those under teacher forcing.

Goyal et al. 2016 (arXiv:1610.09038). The paper's gradient reaches the generator through the states of the free run,
and stops at its sampled tokens. Here it may also pass through them, by any pathwise estimator, or reach them by
REINFORCE. Axes: ``b`` batch, ``t`` time, ``h`` features, ``v`` vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ....interfaces import Batch
from ....ranges import check_weights
from ....registry import Spec, from_options
from ....vocabulary import Vocabulary
from ...relaxed import ESTIMATORS, RelaxedCategorical, select
from ..generators.base import LanguageModel, length_mask
from ..generators.dropout import without_dropout
from ..generators.feedback import hard
from ..relaxed_tokens import token_mask
from ..rewards import check_others
from ..state_discriminator import StateAdversary, StateDiscriminator
from .base import OBJECTIVES, Objective
from .maximum_likelihood import MaximumLikelihood
from .organ import policy_loss
from .seqgan import build_baseline, check_batch

LEARNS_BELOW, TEACHES_ABOVE = 0.99, 0.75  # accuracies of the discriminator, section 4 of the paper
SCORED = "reinforce"
DEFAULT_ADVERSARY = StateAdversary()


@OBJECTIVES.register("professor_forcing")
class ProfessorForcing(Objective):
    """NLL plus ``weight`` times the mean of -log D of free-running states.

    D tells states and outputs under teacher forcing from those of a free run. It learns while its accuracy on the last
    batch is below 0.99, and the generator follows it while that is above 0.75.

    Args:
        vocabulary: tokens, with EOS if sentences end.
        max_length: longest sentence in tokens.
        weight: of the adversarial part; 0 is maximum likelihood.
        estimator: how the gradient passes the tokens of the free run: null stops at them, as in the paper; a pathwise
            estimator passes through them; reinforce rewards them with log D, and may have a ``baseline`` of rewards.
        temperature: of a pathwise estimator, a number or a schedule.
        adversary: options of ``StateAdversary``.
        shuffled: the generator gets the gradient, and with reinforce the reward, of another sentence: a control.

    Raises:
        ValueError: an unknown name, a weight < 0, an estimator without a pathwise gradient that is not reinforce, one
            whose samples have not the model's distribution, an option of reinforce that has no use here; in training, a
            batch of one sentence for reinforce with ``leave_one_out`` or for ``shuffled``.

    Example:
        >>> objective = {"name": "professor_forcing", "estimator": "reinmax", "adversary": {"width": 16}}
        >>> forcing = OBJECTIVES.build(objective, vocabulary=Vocabulary(["<eos>", "a", "b"]), max_length=5)
    """

    adversarial = True
    likelihood = True
    parts: ClassVar[Mapping[str, Any]] = {**RelaxedCategorical.parts, "adversary": StateAdversary}
    discriminator: StateDiscriminator
    accuracy: Tensor

    def __init__(
        self,
        vocabulary: Vocabulary,
        max_length: int,
        weight: float = 1.0,
        estimator: Spec | None = None,
        temperature: float | Spec = 1.0,
        adversary: StateAdversary | dict = DEFAULT_ADVERSARY,
        shuffled: bool = False,
    ) -> None:
        super().__init__(vocabulary, max_length)
        check_weights(weight=weight)
        self.weight, self.shuffled = weight, shuffled
        self.adversary = from_options(StateAdversary, adversary)
        name, options = (None, {}) if estimator is None else ESTIMATORS.read(estimator)
        self.scored = name == SCORED
        if self.scored and (unused := options.keys() - {"baseline"}):
            raise ValueError(f"reinforce has no use for {', '.join(sorted(unused))} here; it may have a baseline")
        self.relaxed = None if estimator is None or self.scored else RelaxedCategorical(estimator, temperature)
        if self.relaxed is not None:
            check_estimator(self.relaxed)
        self.baseline = build_baseline(options.get("baseline", "leave_one_out") if self.scored else "none")
        self.maximum_likelihood = MaximumLikelihood(vocabulary, max_length)
        self.register_buffer("accuracy", torch.tensor(0.5))

    def attach(self, generator: LanguageModel) -> None:
        """Build the discriminator for the generator's states."""
        self.discriminator = StateDiscriminator(generator.head.in_features + self.vocab_size, self.adversary.width)

    def generator_metrics(self, generator: LanguageModel, batch: Batch) -> dict[str, Tensor]:
        """``loss`` and ``nll`` in nats per token, and ``accuracy`` of the discriminator on its last batch."""
        n = len(batch["tokens"])
        check_batch(n, self.baseline, "estimator.baseline")
        if self.shuffled:
            check_others(n)
        metrics = self.maximum_likelihood.generator_metrics(generator, batch)
        metrics["accuracy"] = self.accuracy.clone()
        if not self.weight or self.accuracy <= TEACHES_ABOVE:
            return metrics
        tokens, behaviour = self.free_run(generator, n)
        mask = token_mask(tokens, self.eos_id)  # n t
        if self.shuffled:
            for tensor in (behaviour, mask):  # the mask of relaxed tokens has a gradient too
                if tensor.requires_grad:
                    tensor.register_hook(lambda gradient: gradient.roll(1, 0))
        score = self.discriminator(behaviour, mask)  # n
        loss = F.softplus(-score).mean()
        if self.scored:
            judged = self.free_score(generator, n) if self.shuffled else score.detach()
            loss = loss + policy_loss(generator, tokens, F.logsigmoid(judged), self.baseline, self.eos_id)
        return {**metrics, "loss": metrics["loss"] + self.weight * loss, "score": score.mean()}

    def free_run(self, generator: LanguageModel, n: int) -> tuple[Tensor, Tensor]:
        """Draw sentences, and compute the states and outputs of their run, ``n t h+v``, with gradient.

        The sentences are ids ``n t``, or one-hots ``n t v`` with the gradient of a pathwise estimator.
        """
        if self.relaxed is None:
            tokens = generator.sample(n)
            return tokens, teacher_forced(generator, tokens)
        tokens = hard(generator.rollout(n, self.relaxed, "straight_through"))
        return tokens, states_of(generator, select(tokens, generator.embedding.weight[:-1], one_hot=True))

    @torch.no_grad()
    def free_score(self, generator: LanguageModel, n: int) -> Tensor:
        """Return the discriminator's logits of another free run, ``n``."""
        tokens = generator.sample(n)
        return self.discriminator(teacher_forced(generator, tokens), token_mask(tokens, self.eos_id))

    def discriminator_loss(self, generator: LanguageModel, batch: Batch) -> Tensor:
        """Cross-entropy of teacher-forced against free-running states; no gradient where it is right too often."""
        tokens = batch["tokens"]
        with torch.no_grad():
            forced = teacher_forced(generator, tokens)
            written = generator.sample(len(tokens))
            free = teacher_forced(generator, written)
        real = self.discriminator(forced, length_mask(batch["length"], tokens.shape[1]))
        fake = self.discriminator(free, token_mask(written, self.eos_id))
        self.accuracy = ((real > 0).float().mean() + (fake <= 0).float().mean()).detach() / 2
        loss = F.softplus(-real).mean() + F.softplus(fake).mean()
        return loss if self.accuracy < LEARNS_BELOW else loss.detach()

    def generator_parameters(self) -> list[nn.Parameter]:
        """Parameters of the objective except the discriminator's, such as a learned temperature."""
        return [value for name, value in self.named_parameters() if not name.startswith("discriminator.")]

    def discriminator_parameters(self) -> list[nn.Parameter]:
        """Parameters of the discriminator; empty with weight 0."""
        return list(self.discriminator.parameters()) if self.weight else []


def check_estimator(relaxed: RelaxedCategorical) -> None:
    """Check that an estimator has a pathwise gradient, and draws from the model's distribution; else ValueError."""
    if not relaxed.estimator.pathwise:
        raise ValueError(
            f"estimator '{relaxed.name}' has no pathwise gradient; use null as in the paper, reinforce, or one such as "
            "straight_through_gumbel_softmax"
        )
    if relaxed.estimator.one_hot_forward and not relaxed.estimator.exact_value:  # the free run rounds relaxed samples
        raise ValueError(
            f"estimator '{relaxed.name}' draws from another distribution than the model's, and a free run is the "
            "model's own; use straight_through_gumbel_softmax"
        )


def teacher_forced(generator: LanguageModel, tokens: Tensor) -> Tensor:
    """Compute states and output probabilities of sentences ``b t`` as inputs, ``b t h+v``, without dropout."""
    return states_of(generator, generator.embedding(tokens))


def states_of(generator: LanguageModel, embedded: Tensor) -> Tensor:
    """Compute states and output probabilities from the embedded tokens of each position, ``b t d -> b t h+v``."""
    first, _ = generator.begin(len(embedded))
    with without_dropout(generator):
        states = generator.features(torch.cat([first[:, None], embedded[:, :-1]], 1))
        return torch.cat([states, generator.head(states).softmax(-1)], -1)
