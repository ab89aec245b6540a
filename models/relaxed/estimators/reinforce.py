"""REINFORCE, the score-function estimator (Williams 1992), with a choice of baselines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from torch import Tensor

from ....registry import Spec
from ..baselines import BASELINES
from ..densities import log_prob
from ..estimator import ESTIMATORS, Estimator
from ..noise import NoiseFn
from ..sampling import gumbel_max, one_hot, tempered_softmax
from ..surrogate import Cost, evaluate, repeat_samples, sum_event, upcast, with_learning


@ESTIMATORS.register("reinforce")
class REINFORCE(Estimator):
    """Unbiased for any cost, from one-hot samples only.

    Args:
        samples: draws of z per example; at least 2 for the baseline ``leave_one_out``.
        baseline: value subtracted from each sample's cost: ``leave_one_out`` (mean of the other samples),
            ``moving_average`` (of past batches), ``learned`` (moving average plus a network of the probabilities), or
            ``none``.
        event_shape: shape ``n k`` of one example's logits, for a learned baseline.

    Raises:
        ValueError: an unknown baseline, fewer samples than it needs, or a learned baseline without event shape.
    """

    unbiased = True
    pathwise = False
    learns_temperature = False
    parts: ClassVar[Mapping[str, Any]] = {"baseline": BASELINES}

    def __init__(
        self, samples: int = 4, baseline: Spec = "leave_one_out", event_shape: Sequence[int] | None = None
    ) -> None:
        super().__init__(samples, event_shape)
        name, _ = BASELINES.read(baseline)
        needed = BASELINES[name].minimum_samples
        if samples < needed:
            raise ValueError(f"the baseline '{name}' needs samples >= {needed}, got {samples}")
        self.baseline = BASELINES.build(baseline, event_shape=event_shape)

    def expectation(self, logits: Tensor, cost: Cost, temperature: Tensor | float, noise_fn: NoiseFn) -> Tensor:
        """Return the mean cost of the samples, ``b``; its gradient is the score-function estimate."""
        repeated = repeat_samples(logits, self.samples)  # s b n k
        codes = gumbel_max(repeated, noise=noise_fn(repeated))  # s b n
        past = self.baseline.past()  # the cost may call this baseline, with costs that depend on these codes
        value = evaluate(cost, one_hot(codes, logits.shape[-1], logits.dtype))  # s b
        observed = upcast(value.detach())
        probabilities = tempered_softmax(upcast(logits.detach()), 1.0)
        probabilities = probabilities[None] if self.samples > 1 else probabilities
        advantage, loss = self.baseline.compare(observed, probabilities, past)
        score = sum_event(log_prob(logits, codes), like=value)  # s b
        surrogate = advantage * score
        value = value + (surrogate - surrogate.detach())
        if loss is not None:
            value = with_learning(value, loss, list(self.baseline.parameters()))
        return value.mean(0) if self.samples > 1 else value
