"""Training objective of a classifier with gates: E[cross-entropy] plus what the open gates cost.

Axes: ``b`` examples, ``n`` gates, ``s`` samples, ``y`` classes, ``r`` rows of gates: b, or 1 for one draw per batch.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from ..networks.image_classifier import nll
from .base import Gates
from .costs import GateCost, NoCost


def gated_metrics(
    gates: Gates, cost: GateCost, logits: Tensor, classify: Callable[[Tensor], Tensor], label: Tensor
) -> dict[str, Tensor]:
    """Return ``loss`` (cross-entropy plus the gates' cost), ``nll``, and ``open`` where it costs.

    There is no accuracy: estimators classify by other gates than draws too, such as sets, swaps and relaxed points.

    Args:
        gates: draw, and estimate the gradient.
        cost: of open gates.
        logits: of the gates, ``r n``.
        classify: maps gates ``... r n`` to class logits ``... b y``.
        label: classes of the examples, ``b``.
    """

    def cross_entropy(drawn: Tensor) -> Tensor:
        values = nll(classify(drawn), label)  # ... b
        return values if drawn.shape[-2] == len(label) else values.mean(-1, keepdim=True)

    value = gates.expectation(logits, cross_entropy).mean()
    metrics = {"loss": value + expected_cost(gates, cost, logits), "nll": value}
    return metrics if isinstance(cost, NoCost) else {**metrics, "open": gates.open_probability(logits).mean()}


def expected_cost(gates: Gates, cost: GateCost, logits: Tensor) -> Tensor:
    """Return the mean cost of rows of logits, ``r n``, in nats; without a cost P(open) is not asked for."""
    return logits.new_zeros(()) if isinstance(cost, NoCost) else cost(gates.open_probability(logits)).mean()
