"""Maximum likelihood by teacher forcing. Axes: ``b`` batch, ``t`` time."""

from __future__ import annotations

from torch import Tensor

from ....interfaces import Batch
from ...relaxed.distributed import process_mean
from ..generators.base import LanguageModel
from ..labels import batch_labels
from .base import OBJECTIVES, Objective


@OBJECTIVES.register("mle")
class MaximumLikelihood(Objective):
    """Negative log-likelihood of each token given the true earlier ones."""

    def generator_metrics(self, generator: LanguageModel, batch: Batch) -> dict[str, Tensor]:
        """``loss`` and ``nll``, nats per token."""
        log_prob = generator.log_prob(batch["tokens"], batch["length"], label=batch_labels(batch, generator.classes))
        nll = mean_nll(log_prob, batch["length"])
        return {"loss": nll, "nll": nll}


def mean_nll(log_prob: Tensor, lengths: Tensor) -> Tensor:
    """Return nats per token from log-probabilities ``b t`` that are 0 from ``lengths`` (``b``) on.

    With several processes, the mean of their values is the nats per token of all.
    """
    return -log_prob.sum() / process_mean(lengths.sum())
