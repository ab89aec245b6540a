"""Likelihoods of a target under attention, as pure functions.

A step of the target reads one place of the source, a ~ softmax(scores), and is written with p(y | value of a). Soft
attention is another model: it writes with p(y | sum_a q(a) value of a) (Bahdanau, Cho & Bengio 2015, arXiv:1409.0473).
The hard one has the likelihood log sum_a q(a) p(y | a), which enumerating the places gives (Wu, Shapiro & Cotterell
2018, arXiv:1808.10024), and lower bounds on it (Xu et al. 2015, arXiv:1502.03044; Deng et al. 2018, arXiv:1807.03756).
No step sees the earlier choices, so each has its own sum.

Scores ``b t s`` are -inf where a step may not look. Axes: ``b`` batch, ``t`` steps, ``i`` steps of all targets without
padding, ``s`` places, ``d`` width, ``m`` samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from torch import Tensor

from ..relaxed import RelaxedCategorical, select
from ..relaxed.sampling import mode, tempered_softmax
from ..relaxed.surrogate import Cost


@runtime_checkable
class LogProb(Protocol):
    """log p(y | context) in nats."""

    def __call__(self, context: Tensor) -> Tensor:
        """Compute it for contexts of all steps, ``... b t d -> ... b t``."""

    def of_places(self, values: Tensor, allowed: Tensor) -> Tensor:
        """Compute it for the value ``b s d`` of each place that a step may look at, ``b t s``; any number elsewhere."""


def soft(scores: Tensor, values: Tensor, log_prob: LogProb) -> Tensor:
    """Compute log p(y | mean of the values), ``b t``, for scores ``b t s`` and values ``b s d``."""
    return log_prob(select(tempered_softmax(scores, 1.0), values[:, None]))


def argmax(scores: Tensor, values: Tensor, log_prob: LogProb) -> Tensor:
    """Compute log p(y | value of the largest score), ``b t``."""
    return log_prob(select(mode(scores), values[:, None]))


def marginal(layer: RelaxedCategorical, scores: Tensor, values: Tensor, log_prob: LogProb) -> Tensor:
    """Compute log sum_a q(a) p(y | a), ``b t``, at an evaluation for each place that a step may look at."""
    return layer.log_marginal(scores, log_prob.of_places(values, ~scores.isneginf()))


def bound(layer: RelaxedCategorical, scores: Tensor, values: Tensor, log_prob: LogProb, steps: Tensor) -> Tensor:
    """Estimate E_a[log p(y | a)], ``b t``, with the gradient of the layer's estimator; 0 where ``steps`` is False."""
    return _of_steps(layer.expectation(scores[steps], _cost(layer, values, log_prob, steps)), steps)


def multi_sample_bound(
    layer: RelaxedCategorical, scores: Tensor, values: Tensor, log_prob: LogProb, steps: Tensor, m: int
) -> Tensor:
    """Estimate E[log 1/m sum_i p(y | a_i)], ``b t``, between ``bound`` and ``marginal``; 0 where ``steps`` is False."""
    return _of_steps(layer.multi_sample_bound(scores[steps], _cost(layer, values, log_prob, steps), m), steps)


def _cost(layer: RelaxedCategorical, values: Tensor, log_prob: LogProb, steps: Tensor) -> Cost:
    """Return the log-likelihood of the real steps alone, ``... i s -> ... i``: a mean of costs must not see padding."""

    def cost(z: Tensor) -> Tensor:
        place = _of_steps(z, steps, z.shape[-1:])  # ... b t s
        return log_prob(select(place, values[:, None], one_hot=layer.one_hot_samples))[..., steps]

    return cost


def _of_steps(found: Tensor, steps: Tensor, event: Sequence[int] = ()) -> Tensor:
    """Scatter values of the real steps, ``... i event``, to ``... b t event``; padding is 0."""
    shape = *found.shape[: found.ndim - len(event) - 1], *steps.shape, *event
    mask = steps.view(*steps.shape, *[1] * len(event)).expand(shape)
    return found.new_zeros(shape).masked_scatter(mask, found)
