"""Attention against enumeration: likelihoods and their order, gradients of every estimator, controls."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from gumbelzoo.models.attention.attentions import ATTENTIONS, Attention
from gumbelzoo.models.relaxed import ESTIMATORS
from torch import Tensor

B, T, S, D, V = 2, 3, 4, 5, 6
NAMES = [name for name in ESTIMATORS.names() if ESTIMATORS[name].categories is None]
BIASED = [name for name in NAMES if not ESTIMATORS[name].unbiased]
# Least cosine of the mean gradient and that of enumeration, at temperature 1; measured, less a margin of 0.01.
COSINE = {
    "concrete": 0.97,
    "decoupled_straight_through_gumbel_softmax": 0.91,
    "gapped_straight_through": 0.92,
    "gumbel_rao": 0.93,
    "gumbel_softmax": 0.97,
    "reinmax": 0.95,
    "straight_through": 0.94,
    "straight_through_gumbel_softmax": 0.93,
}


def build(spec: Any) -> Attention:
    return ATTENTIONS.build(spec, max_lengths=(S, T))


class Problem:
    """Scores ``b t s`` with a place masked, values ``b s d``, a head that is not linear, and targets."""

    def __init__(self) -> None:
        draw = torch.Generator().manual_seed(0)
        self.scores = torch.randn(B, T, S, generator=draw)
        self.scores[0, :, -1] = -math.inf
        self.values = torch.randn(B, S, D, generator=draw)
        self.head = torch.randn(D, V, generator=draw)
        self.state = torch.randn(B, T, V, generator=draw)
        self.target = torch.randint(V, (B, T), generator=draw)
        self.steps = torch.ones(B, T, dtype=torch.bool)

    def __call__(self, context: Tensor) -> Tensor:
        """log p(y | context), ``... b t d -> ... b t``."""
        logits = self.state + (2 * context.tanh()) @ self.head
        return logits.log_softmax(-1).gather(-1, self.target.expand(logits.shape[:-1])[..., None]).squeeze(-1)

    def of_places(self, values: Tensor, allowed: Tensor) -> Tensor:
        """log p(y | a) of every place, ``b t s``, one by one; NaN where it must not be used."""
        every = torch.stack([self(values[:, None, place].expand(-1, T, -1)) for place in range(S)], -1)
        return every.masked_fill(~allowed, math.nan)

    def every_place(self) -> Tensor:
        """log p(y | a), 0 where a step may not look."""
        return self.of_places(self.values, self.scores.isfinite()).nan_to_num(0)


def test_likelihoods_are_enumerated() -> None:
    """The marginal sums over places; soft attention writes from the mean; controls use no score."""
    problem = Problem()
    every, q = problem.every_place(), problem.scores.softmax(-1)
    given = problem.scores, problem.values, problem
    expected = (q * every.exp()).sum(-1).log()
    for spec in ("marginal", "bound", "multi_sample"):
        torch.testing.assert_close(build(spec).log_likelihood(*given), expected)
    mean = torch.einsum("bts,bsd->btd", q, problem.values)
    torch.testing.assert_close(build("soft").log_likelihood(*given), problem(mean))
    for name in ("uniform", "fixed"):
        control = build(name)
        used, again = control.scores(problem.scores), control.scores(problem.scores + 1)
        assert torch.equal(used, again) and torch.equal(used.isneginf(), problem.scores.isneginf())
    average = build("uniform")
    used = average.scores(problem.scores)
    counts = torch.tensor([S - 1, S])[:, None, None]
    means = (problem.values * used.isfinite()[:, 0, :, None]).sum(1, keepdim=True) / counts
    torch.testing.assert_close(average.log_likelihood(used, *given[1:]), problem(means))


def test_objectives_are_in_order() -> None:
    """marginal >= bound of m samples >= bound of one, exactly."""
    problem = Problem()
    given = problem.scores, problem.values, problem
    marginal, many, one = (
        build(spec).objective(*given, problem.steps)
        for spec in (
            "marginal",
            {"name": "multi_sample", "m": 3, "estimator": "exact"},
            {"name": "bound", "estimator": "exact"},
        )
    )
    assert (marginal > many).all() and (many > one).all()
    expected = (problem.scores.softmax(-1) * problem.every_place()).sum(-1)
    torch.testing.assert_close(one, expected)


def gradients(spec: dict[str, Any], draws: int) -> tuple[Tensor, Tensor]:
    """Gradients for scores and values of the objective, per draw."""
    problem, attention = Problem(), build(spec)
    scores, values = (t.expand(draws, *t.shape).flatten(0, 1).clone() for t in (problem.scores, problem.values))
    problem.state, problem.target = (t.repeat(draws, 1, *[1] * (t.ndim - 2)) for t in (problem.state, problem.target))
    scores, values = scores.requires_grad_(), values.requires_grad_()
    steps = torch.ones(scores.shape[:2], dtype=torch.bool)
    objective = attention.objective(scores, values, problem, steps)
    found = torch.autograd.grad(objective.sum(), [scores, values])
    return found[0].unflatten(0, (draws, B)), found[1].unflatten(0, (draws, B))


def z_scores(draws: Tensor, target: Tensor) -> Tensor:
    error = draws.double().std(0) / len(draws) ** 0.5
    return (draws.double().mean(0) - target) / error.clamp(min=1e-6)


@pytest.mark.parametrize("name", [name for name in NAMES if ESTIMATORS[name].unbiased and name != "exact"])
def test_unbiased_gradients_of_the_bound(name: str) -> None:
    """Against enumeration, for the scores and the values; |z| < 4 in every coordinate."""
    exact = gradients({"name": "bound", "estimator": "exact"}, 1)
    for found, truth in zip(gradients({"name": "bound", "estimator": name}, 5_000), exact, strict=True):
        assert z_scores(found, truth[0]).abs().max() < 4


@pytest.mark.parametrize("name", BIASED)
def test_biased_gradients_point_uphill(name: str) -> None:
    """Cosine with the gradient of enumeration, and the relative bias, which is printed."""
    exact = gradients({"name": "bound", "estimator": "exact"}, 1)[0][0]
    mean = gradients({"name": "bound", "estimator": name}, 5_000)[0].mean(0)
    cosine = float((mean * exact).sum() / mean.norm() / exact.norm())
    print(f"{name}: cosine {cosine:.3f}, bias {float((mean - exact).norm() / exact.norm()):.3f}")
    assert cosine > COSINE[name]


@pytest.mark.parametrize("estimator", ["vimco", "reinforce"])
def test_unbiased_gradients_of_samples(estimator: str) -> None:
    spec = {"name": "multi_sample", "m": 2}
    exact = gradients({**spec, "estimator": "exact"}, 1)
    for found, truth in zip(gradients({**spec, "estimator": estimator}, 5_000), exact, strict=True):
        assert z_scores(found, truth[0]).abs().max() < 4


@pytest.mark.parametrize("name", ["reinforce", "straight_through_gumbel_softmax"])
def test_gradients_follow_their_row(name: str) -> None:
    """A loss pairs each step with its own choice: a change of one target moves the gradient of its step only."""
    problem, attention = Problem(), build({"name": "bound", "estimator": name})
    found = []
    for target in (problem.target, problem.target.clone()):
        torch.manual_seed(0)
        if found:
            target[1, 2] = (target[1, 2] + 1) % V
        problem.target, leaf = target, problem.scores.clone().requires_grad_()
        attention.objective(leaf, problem.values, problem, problem.steps).sum().backward()
        found.append(leaf.grad)
    moved = (found[0] != found[1]).any(-1)
    assert moved.nonzero().tolist() == [[1, 2]]


@pytest.mark.parametrize("spec", [{"name": "bound"}, {"name": "multi_sample", "m": 2}])
def test_padded_steps_are_no_costs(spec: dict[str, Any]) -> None:
    """Their objective is 0, they get no gradient, and a baseline that averages costs does not see them."""
    problem, attention = Problem(), build({**spec, "estimator": {"name": "reinforce", "baseline": "moving_average"}})
    problem.steps[0, 1:] = False
    leaf = problem.scores.clone().requires_grad_()
    objective = attention.objective(leaf, problem.values, problem, problem.steps)
    objective.sum().backward()
    assert torch.equal(objective != 0, problem.steps) and torch.equal((leaf.grad != 0).any(-1), problem.steps)
    baseline = attention.layer.estimator.baseline
    torch.testing.assert_close(baseline.total.abs(), objective.detach()[problem.steps].mean().abs())


@pytest.mark.parametrize("name", NAMES)
def test_padding_gets_no_gradient(name: str) -> None:
    scores, _ = gradients({"name": "bound", "estimator": name}, 50)
    assert scores.isfinite().all() and (scores[:, 0, :, -1] == 0).all()


def test_no_samples_raises() -> None:
    with pytest.raises(ValueError, match="m must be a whole number >= 1"):
        build({"name": "multi_sample", "m": 0})
