"""The policy gradient of a sequence of choices against autograd and enumeration."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from copy import deepcopy

import pytest
import torch
from gumbelzoo.models.relaxed import RelaxedCategorical, trajectory_surrogate
from gumbelzoo.models.relaxed.densities import log_prob
from gumbelzoo.models.relaxed.policy_gradient import trajectory_loss
from torch import Tensor

T, K = 3, 2


def policy(weight: Tensor, picks: Tensor) -> Tensor:
    """Log-probabilities of picks ``b t``, in which each step sees the sum of the earlier ones."""
    seen = picks.cumsum(1) - picks  # b t
    return log_prob(weight[seen], picks)


def reward(picks: Tensor) -> Tensor:
    return (picks * torch.tensor([1.0, -2.0, 3.0])).sum(1).exp()


@pytest.mark.parametrize("form", ["whole", "per step"])
def test_policy_gradient_is_unbiased(form: str, z_scores: Callable[[Tensor, object], Tensor]) -> None:
    """Against the enumerated expectation of the reward, with a baseline."""
    torch.manual_seed(0)
    weight = torch.randn(T, K)
    paths = torch.tensor(list(itertools.product(range(K), repeat=T)))
    leaf = weight.clone().requires_grad_()
    expected = (policy(leaf, paths).sum(1).exp() * reward(paths)).sum()
    (exact,) = torch.autograd.grad(expected, leaf)

    picks = torch.zeros(20_000, 0, dtype=torch.int64)
    for _ in range(T):
        picks = torch.cat([picks, torch.multinomial(weight.softmax(-1)[picks.sum(1)], 1)], 1)
    rows = weight.expand(len(picks), T, K).clone().requires_grad_()
    seen = picks.cumsum(1) - picks
    log_probs = log_prob(rows.gather(1, seen[..., None].expand(-1, -1, K)), picks)
    rewards = reward(picks) if form == "whole" else reward(picks)[:, None].expand(-1, T)
    value = trajectory_surrogate(log_probs, rewards, torch.tensor(4.0))
    assert value.shape == (len(picks),)
    (draws,) = torch.autograd.grad(value.sum(), rows)
    assert z_scores(draws, exact).abs().max() < 4


def test_surrogate_formula() -> None:
    """Rewards and baselines per step get no gradient; half-precision inputs are computed in float32."""
    torch.manual_seed(0)
    log_probs, rewards, baseline = (torch.randn(4, T, requires_grad=True) for _ in range(3))
    mask = torch.tensor([[1.0, 1, 0]]).expand(4, T)
    value = trajectory_surrogate(log_probs, rewards, baseline, mask)
    torch.testing.assert_close(value, ((rewards - baseline) * log_probs * mask).sum(1))
    value.sum().backward()
    torch.testing.assert_close(log_probs.grad, ((rewards - baseline) * mask).detach())
    assert rewards.grad is None and baseline.grad is None
    assert trajectory_surrogate(log_probs.bfloat16(), rewards).dtype == torch.float32


def test_masked_steps_may_hold_anything() -> None:
    """A step after the end has log-probability -inf and no reward, and no NaN comes of it."""
    log_probs = torch.tensor([[-1.0, -torch.inf]], requires_grad=True)
    rewards = torch.tensor([[2.0, torch.nan]])
    value = trajectory_surrogate(log_probs, rewards, mask=torch.tensor([[True, False]]))
    value.backward()
    assert value.item() == -2.0
    assert log_probs.grad is not None and log_probs.grad.tolist() == [[2.0, 0.0]]


def test_one_reward_per_trajectory() -> None:
    """It is never taken for one per step, where there are as many of both."""
    log_probs, rewards = torch.randn(T, T), torch.randn(T)
    expected = trajectory_surrogate(log_probs, rewards[:, None].expand(T, T), 1.0)
    torch.testing.assert_close(trajectory_surrogate(log_probs, rewards, torch.ones(T)), expected)


@pytest.mark.parametrize(
    ("name", "shape"), [("reward", (5,)), ("baseline", (4, 5)), ("mask", (4,)), ("reward", (1, 4, T))]
)
def test_surrogate_of_wrong_shape_raises(name: str, shape: tuple[int, ...]) -> None:
    arguments = {"reward": torch.zeros(4), name: torch.zeros(shape)}
    with pytest.raises(ValueError, match=f"{name} of shape .* does not fit"):
        trajectory_surrogate(torch.zeros(4, T), **arguments)


def test_learned_baseline_of_trajectories_descends_the_log_loss() -> None:
    """As in an expectation, so that its gradient does not grow with the cost; the value is the mean cost."""
    layer = RelaxedCategorical({"name": "reinforce", "samples": 2, "baseline": "learned"}, event_shape=(K,))
    first, log_probs = torch.randn(4, K).softmax(-1), torch.randn(2, 4, T, requires_grad=True)
    cost = 100 * torch.randn(2, 4)
    baseline = deepcopy(layer.estimator.baseline)
    expected = torch.autograd.grad(baseline.compare(cost, first[None])[1].mean().log(), list(baseline.parameters()))
    value = trajectory_loss(layer, log_probs, cost, first)
    gradients = torch.autograd.grad(value, list(layer.estimator.baseline.parameters()))
    torch.testing.assert_close(gradients, expected)
    assert value.item() == pytest.approx(cost.mean().item())
