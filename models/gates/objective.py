"""Training objective of a classifier with gates: E[cross-entropy] plus what the open gates cost.

Axes: ``b`` examples, ``n`` gates, ``s`` samples, ``y`` classes, ``r`` rows of gates: b, or 1 for one draw per batch.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from ...interfaces import Batch
from ..inputs import check_labels
from ..relaxed.surrogate import upcast
from .base import Gates
from .costs import GateCost, NoCost


def labels_of(batch: Batch, classes: int) -> Tensor:
    """Return the labels of a batch, ``b``; ValueError without any, or with some outside [0, classes)."""
    if "label" not in batch:
        raise ValueError("a classifier learns labels, and the data has none: a batch must have 'label'")
    return check_labels(batch["label"], classes)


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
        scores = upcast(classify(drawn))  # ... b y
        nll = -scores.log_softmax(-1).gather(-1, label.expand(scores.shape[:-1])[..., None]).squeeze(-1)
        return nll if drawn.shape[-2] == len(label) else nll.mean(-1, keepdim=True)

    nll = gates.expectation(logits, cross_entropy).mean()
    metrics = {"loss": nll + expected_cost(gates, cost, logits), "nll": nll}
    return metrics if isinstance(cost, NoCost) else {**metrics, "open": gates.open_probability(logits).mean()}


def expected_cost(gates: Gates, cost: GateCost, logits: Tensor) -> Tensor:
    """Return the mean cost of rows of logits, ``r n``, in nats; without a cost P(open) is not asked for."""
    return logits.new_zeros(()) if isinstance(cost, NoCost) else cost(gates.open_probability(logits)).mean()
