"""How a generator of text learns, by name in ``OBJECTIVES``; here maximum likelihood, by itself and on its own samples.

Axes: ``b`` batch, ``t`` time, ``v`` vocabulary.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from ....registry import Registry
from ...base import Batch
from ...relaxed.sampling import categorical_sample
from ..generators.base import Generator, token_log_prob


class Objective(nn.Module):
    """Subclasses write ``generator_metrics``; adversarial ones have a discriminator and its loss as well.

    A constructor names the arguments of ``TextGAN`` that it has a use for, and ``size``, ``length`` and ``end`` of the
    text.
    """

    adversarial: ClassVar[bool] = False

    def generator_metrics(self, generator: Generator, batch: Batch) -> dict[str, Tensor]:
        """Named scalars of a batch, what the generator descends among them as ``loss``."""
        raise NotImplementedError

    def discriminator_loss(self, generator: Generator, batch: Batch) -> Tensor:
        """What the discriminator descends, a scalar; adversarial objectives only."""
        raise NotImplementedError

    def discriminator_parameters(self) -> list[nn.Parameter]:
        """What learns by ``discriminator_loss``."""
        return []

    def advance(self) -> None:
        """Count one training batch; ``RelaxedCategorical`` layers inside are advanced by the model."""


OBJECTIVES: Registry[type[Objective]] = Registry("objective")


@OBJECTIVES.register("mle")
class MaximumLikelihood(Objective):
    """Teacher forcing: -log p of each token given the true ones before it."""

    def generator_metrics(self, generator: Generator, batch: Batch) -> dict[str, Tensor]:
        """``loss`` and ``nll``, nats per token."""
        log_prob = generator.log_prob(batch["tokens"], batch["length"])
        return mean_nll(log_prob, batch["length"])


@OBJECTIVES.register("scheduled_sampling")
class ScheduledSampling(Objective):
    """-log p of each token, where what was fed before it is the true token or, more and more often, the model's own.

    Bengio et al. 2015 (arXiv:1506.03099), with the linear decay of section 2.4 and a coin for every token. It is no
    likelihood: its optimum is not the distribution of the data (Huszar 2015, arXiv:1511.05101).

    Args:
        scheduled_steps: training batches until nothing but samples is fed.
    """

    step: Tensor

    def __init__(self, scheduled_steps: int = 10_000) -> None:
        super().__init__()
        if scheduled_steps < 1:
            raise ValueError(f"scheduled_steps must be >= 1, got {scheduled_steps}")
        self.scheduled_steps = scheduled_steps
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))

    def share_of_truth(self) -> Tensor:
        """The probability with which the true token is fed, 1 at first, a scalar."""
        return (1 - self.step / self.scheduled_steps).clamp(min=0)

    def generator_metrics(self, generator: Generator, batch: Batch) -> dict[str, Tensor]:
        """``loss``, nats per token, and the share of true tokens."""
        tokens, truth = batch["tokens"], self.share_of_truth()
        x, state = generator.begin(len(tokens))
        logits = []
        for true in tokens.unbind(1):
            features, state = generator.step(x, state)
            logits.append(generator.head(features))
            own = categorical_sample(logits[-1].detach())
            x = generator.embedding(torch.where(torch.rand_like(truth.expand(len(true))) < truth, true, own))
        log_prob = token_log_prob(torch.stack(logits, 1), tokens, batch["length"])
        return {"loss": mean_nll(log_prob, batch["length"])["loss"], "truth": truth}

    def advance(self) -> None:
        """See the base class."""
        self.step += 1


def mean_nll(log_prob: Tensor, lengths: Tensor) -> dict[str, Tensor]:
    """Nats per token from log-probabilities ``b t`` that are 0 behind ``lengths`` (``b``)."""
    nll = -log_prob.sum() / lengths.sum()
    return {"loss": nll, "nll": nll}
