"""REINFORCE over whole trajectories (Williams 1992), with the estimator's own baseline.

Nested expectations would multiply the samples of the steps; a trajectory has one log-probability, and needs one sample.
Axes: ``s`` samples, ``b`` batch, ``t`` steps, ``k`` categories.
"""

from __future__ import annotations

from torch import Tensor

from .estimators.reinforce import REINFORCE
from .layer import RelaxedCategorical
from .surrogate import with_learning
from .trajectory import trajectory_surrogate

MAXIMUM_EVALUATIONS = 2**20  # of nested expectations, for each example


def is_trajectory(layer: RelaxedCategorical) -> bool:
    """Return True for REINFORCE, which follows whole trajectories."""
    return isinstance(layer.estimator, REINFORCE)


def check_nesting(layer: RelaxedCategorical, k: int, steps: int) -> None:
    """Refuse an estimator whose nested expectations need more memory than a machine has.

    Args:
        layer: of all choices.
        k: categories of each.
        steps: choices in a row, t.

    Raises:
        ValueError: more than ``MAXIMUM_EVALUATIONS`` for one example.
    """
    each = layer.estimator.cost_evaluations(1, k)
    if not is_trajectory(layer) and each**steps > MAXIMUM_EVALUATIONS:
        raise ValueError(
            f"estimator '{layer.name}' needs {each} evaluations for each of {steps} choices in a row, {each}^{steps} "
            f"in all, more than {MAXIMUM_EVALUATIONS}; use fewer choices, or an estimator such as 'reinforce'"
        )


def trajectory_loss(
    layer: RelaxedCategorical, log_probs: Tensor, cost: Tensor, first: Tensor, baseline: Tensor | float = 0.0
) -> Tensor:
    """Return a scalar whose gradient is that of the expected cost; its value is the mean cost.

    The cost keeps its own gradient, for what it depends on beside the choices. A learned baseline descends the
    logarithm of its squared error, as in an expectation, so that it never dominates a clipped gradient.

    Args:
        layer: with the estimator ``reinforce``.
        log_probs: log-probability in nats of each choice given the earlier ones, ``s b t``.
        cost: of whole trajectories, ``s b``.
        first: probabilities of the first choice, ``b k``, for a learned baseline.
        baseline: of each choice, ``s b t``, in addition to the estimator's own; it must not depend on that choice.
    """
    estimator = layer.estimator
    assert isinstance(estimator, REINFORCE)
    advantage, fit = estimator.baseline.compare(cost.detach(), first.detach()[None])
    surrogate = trajectory_surrogate(log_probs, advantage, baseline)
    value = cost + surrogate - surrogate.detach()
    return (value if fit is None else with_learning(value, fit, list(estimator.baseline.parameters()))).mean()
