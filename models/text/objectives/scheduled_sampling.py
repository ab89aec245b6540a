"""Scheduled sampling: the inputs are true tokens or, increasingly often, the model's own samples.

Bengio et al. 2015 (arXiv:1506.03099), with the linear decay of section 2.4 and an independent choice for each token.
Axes: ``b`` batch, ``t`` time, ``v`` vocabulary.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ....interfaces import Batch
from ....ranges import check_sizes
from ....vocabulary import Vocabulary
from ...relaxed.sampling import categorical_sample
from ..generators.base import LanguageModel, token_log_prob
from .base import OBJECTIVES, Objective
from .maximum_likelihood import mean_nll


@OBJECTIVES.register("scheduled_sampling")
class ScheduledSampling(Objective):
    """Negative log-likelihood of each token given inputs that are true tokens or samples.

    It is not a likelihood: its optimum is not the distribution of the data (Huszar 2015, arXiv:1511.05101).

    Args:
        vocabulary: tokens, with EOS if sentences end.
        max_length: longest sentence in tokens.
        steps: optimizer steps until all inputs are samples.

    Raises:
        ValueError: steps < 1.
    """

    step: Tensor

    def __init__(self, vocabulary: Vocabulary, max_length: int, steps: int = 10_000) -> None:
        super().__init__(vocabulary, max_length)
        check_sizes(**{"steps of scheduled_sampling": steps})
        self.steps = steps
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))

    def teacher_forcing_probability(self) -> Tensor:
        """Probability of a true token as input, from 1 down to 0, a scalar."""
        return (1 - self.step / self.steps).clamp(min=0)

    def generator_metrics(self, generator: LanguageModel, batch: Batch) -> dict[str, Tensor]:
        """``loss``, nats per token, and ``truth``, the probability of true inputs."""
        tokens, truth = batch["tokens"], self.teacher_forcing_probability()
        x, state = generator.begin(len(tokens))
        logits = []
        for true in tokens.unbind(1):
            features, state = generator.step(x, state)
            logits.append(generator.head(features))
            sampled = categorical_sample(logits[-1].detach())
            x = generator.embedding(torch.where(torch.rand_like(truth.expand(len(true))) < truth, true, sampled))
        log_prob = token_log_prob(torch.stack(logits, 1), tokens, batch["length"])
        return {"loss": mean_nll(log_prob, batch["length"]), "truth": truth}

    def advance(self) -> None:
        """Count one optimizer step."""
        self.step += 1
