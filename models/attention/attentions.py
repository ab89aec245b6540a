"""Objectives of attention by name: what is maximised, and the exact likelihood that each model is judged by.

Axes: ``b`` batch, ``t`` steps, ``s`` places, ``d`` width.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ...ranges import check_sizes
from ...registry import Registry, Spec
from ..relaxed import ESTIMATORS, SCHEDULES, RelaxedCategorical
from . import attention
from .attention import LogProb


class Attention(nn.Module):
    """Base class: the exact marginal over one hard choice per step. A subclass replaces what it does otherwise.

    Args:
        max_lengths: places s and steps t at most.
    """

    reads_scores: ClassVar[bool] = True  # False of controls, whose network of scores is not trained

    def __init__(self, max_lengths: tuple[int, int]) -> None:
        super().__init__()
        self.layer = RelaxedCategorical("exact")

    def scores(self, scores: Tensor, start: int = 0) -> Tensor:
        """Return the logits that are used, given those of the network, ``b t s``; -inf is no place.

        ``start`` is the step of the first of them.
        """
        return scores

    def objective(self, scores: Tensor, values: Tensor, log_prob: LogProb, steps: Tensor) -> Tensor:
        """Return what is maximised in training, ``b t`` nats; ``steps`` is False at padding, ``b t``."""
        return self.log_likelihood(scores, values, log_prob)

    def log_likelihood(self, scores: Tensor, values: Tensor, log_prob: LogProb) -> Tensor:
        """Return the exact log-likelihood of this model, ``b t`` nats, which it is judged by."""
        return attention.marginal(self.layer, scores, values, log_prob)


ATTENTIONS: Registry[type[Attention]] = Registry("attention", context=("max_lengths",), base=Attention)
ATTENTIONS.register("marginal")(Attention)


@ATTENTIONS.register("soft")
class Soft(Attention):
    """Soft attention, the mean of the values: log p(y | sum_a q(a) value of a)."""

    def log_likelihood(self, scores: Tensor, values: Tensor, log_prob: LogProb) -> Tensor:
        """Return log p(y | mean), ``b t`` nats."""
        return attention.soft(scores, values, log_prob)


@ATTENTIONS.register("bound")
class Bound(Attention):
    """Hard attention trained by the bound E_a[log p(y | a)], with the gradient of any estimator.

    Args:
        max_lengths: places s and steps t at most.
        estimator: name of a gradient estimator, or ``{name: ..., options}``.
        temperature: a number > 0, or the name or spec of a schedule.
    """

    parts: ClassVar[Mapping[str, Any]] = {"estimator": ESTIMATORS, "temperature": SCHEDULES}

    def __init__(
        self, max_lengths: tuple[int, int], estimator: Spec = "reinforce", temperature: float | Spec = 1.0
    ) -> None:
        super().__init__(max_lengths)
        self.layer = RelaxedCategorical(estimator, temperature, event_shape=(max_lengths[0],))

    def objective(self, scores: Tensor, values: Tensor, log_prob: LogProb, steps: Tensor) -> Tensor:
        """Return the estimate of the bound, ``b t`` nats."""
        return attention.bound(self.layer, scores, values, log_prob, steps)


@ATTENTIONS.register("multi_sample")
class MultiSample(Attention):
    """Hard attention trained by the bound of m samples, E[log 1/m sum_i p(y | a_i)].

    Args:
        max_lengths: places s and steps t at most.
        m: samples in a bound.
        estimator: as for ``bound``; ``vimco`` is made for it, others see the m choices as latents of one cost.
        temperature: as for ``bound``.

    Raises:
        ValueError: m < 1.
    """

    parts: ClassVar[Mapping[str, Any]] = Bound.parts

    def __init__(
        self, max_lengths: tuple[int, int], m: int = 4, estimator: Spec = "vimco", temperature: float | Spec = 1.0
    ) -> None:
        super().__init__(max_lengths)
        check_sizes(m=m)
        self.layer = RelaxedCategorical(estimator, temperature, event_shape=(m, max_lengths[0]))
        self.m = m

    def objective(self, scores: Tensor, values: Tensor, log_prob: LogProb, steps: Tensor) -> Tensor:
        """Return the estimate of the bound, ``b t`` nats."""
        return attention.multi_sample_bound(self.layer, scores, values, log_prob, steps, self.m)


@ATTENTIONS.register("uniform")
class Uniform(Soft):
    """Mean of all values, a control: the scores are not used."""

    reads_scores = False

    def scores(self, scores: Tensor, start: int = 0) -> Tensor:
        """Return equal scores of all places."""
        return torch.zeros_like(scores).masked_fill(scores.isneginf(), -torch.inf)


@ATTENTIONS.register("fixed")
class Fixed(Attention):
    """One place per step, drawn once and for all, a control: the scores are not used.

    Args:
        max_lengths: places s and steps t at most.
    """

    reads_scores = False
    drawn: Tensor

    def __init__(self, max_lengths: tuple[int, int]) -> None:
        super().__init__(max_lengths)
        self.register_buffer("drawn", torch.rand(max_lengths[1], max_lengths[0]))  # t s

    def scores(self, scores: Tensor, start: int = 0) -> Tensor:
        """Return the drawn numbers of allowed places."""
        drawn = self.drawn[start : start + scores.shape[-2], : scores.shape[-1]]
        return drawn.expand_as(scores).masked_fill(scores.isneginf(), -torch.inf)

    def log_likelihood(self, scores: Tensor, values: Tensor, log_prob: LogProb) -> Tensor:
        """Return log p(y | value of the drawn place), ``b t`` nats."""
        return attention.argmax(scores, values, log_prob)
