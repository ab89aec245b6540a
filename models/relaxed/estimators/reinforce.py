"""REINFORCE (the score-function estimator, Williams 1992) with a choice of baselines."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from ..baselines import BASELINES
from ..densities import log_prob
from ..estimator import (
    ESTIMATORS,
    Cost,
    Estimator,
    NoiseSource,
    attach_learning,
    evaluate,
    full_precision,
    repeat_samples,
    sum_event,
)
from ..sampling import gumbel_max, one_hot


@ESTIMATORS.register("reinforce")
class Reinforce(Estimator):
    """Unbiased for any cost, which is only evaluated at one-hot samples.

    Args:
        samples: draws of z per example; at least 2 for the baseline ``leave_one_out``.
        baseline: what each sample's cost is compared with: ``leave_one_out`` (the mean of the other samples),
            ``moving_average`` (of past batches), ``learned`` (that plus a network of the logits), or ``none``.
    """

    unbiased = True
    pathwise = False
    learns_temperature = False

    def __init__(
        self, samples: int = 4, baseline: str = "leave_one_out", event_shape: Sequence[int] | None = None
    ) -> None:
        super().__init__(samples)
        needed = BASELINES[baseline].minimum_samples
        if samples < needed:
            raise ValueError(f"the baseline '{baseline}' needs samples >= {needed}, got {samples}")
        self.baseline = BASELINES[baseline](event_shape)

    def expectation(self, logits: Tensor, cost: Cost, temperature: Tensor | float, source: NoiseSource) -> Tensor:
        """Mean cost of the samples; its gradient is the score-function estimate."""
        repeated = repeat_samples(logits, self.samples)  # s b n k
        codes = gumbel_max(repeated, noise=source(repeated))  # s b n
        value = evaluate(cost, one_hot(codes, logits.shape[-1], logits.dtype))  # s b
        observed = full_precision(value.detach())
        probabilities = full_precision(logits.detach()).softmax(-1)
        advantage, loss = self.baseline.compare(observed, probabilities[None] if self.samples > 1 else probabilities)
        score = sum_event(log_prob(repeated, codes), like=value)  # s b
        surrogate = advantage * score
        value = value + (surrogate - surrogate.detach())
        if loss is not None:
            value = attach_learning(value, loss, list(self.baseline.parameters()))
        return value.mean(0) if self.samples > 1 else value
