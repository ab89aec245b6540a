"""Gradients of slate agents against ``exact``, which enumerates every slate."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from gumbelzoo.data import SlateData
from gumbelzoo.models import SlateAgent
from gumbelzoo.models.relaxed import ESTIMATORS, exclude_taken
from torch import Tensor

ENTROPY = 1.0
LEAVE_ONE_OUT = {"name": "reinforce", "samples": 4, "baseline": "leave_one_out"}
ONE = {"name": "reinforce", "samples": 1}
UNBIASED: dict[str, tuple[Any, Any, int]] = {  # estimator, objective, draws
    "leave_one_out": (LEAVE_ONE_OUT, "white_box", 2000),
    "none": ({**ONE, "baseline": "none"}, "white_box", 8000),
    "moving_average": ({**ONE, "baseline": "moving_average"}, "white_box", 4000),
    "learned": ({**ONE, "baseline": "learned"}, "white_box", 3000),
    "rebar": ("rebar", "white_box", 4000),
    "relax": ("relax", "white_box", 2000),
    "muprop": ("muprop", "white_box", 4000),
    "unordered": ({"name": "unordered", "samples": 2}, "white_box", 4000),
    "black_box": (LEAVE_ONE_OUT, "black_box", 8000),
    "black_box_critic": ({**ONE, "baseline": "none"}, {"name": "black_box", "critic": True}, 4000),
}
FAST = ("leave_one_out", "black_box_critic", "learned")
COSINE = {  # of the mean gradient of biased estimators, at temperature 0.7: at least so much
    "straight_through_gumbel_softmax": 0.9,
    "gumbel_softmax": 0.9,
    "reinmax": 0.9,
    "straight_through": 0.9,
    "gumbel_rao": 0.9,
    "gapped_straight_through": 0.9,
    "decoupled_straight_through_gumbel_softmax": 0.9,
    "concrete": 0.9,
}


def gradient(agent: SlateAgent, user: Tensor, data: SlateData, entropy: float = ENTROPY) -> Tensor:
    """Gradient of the loss for the bias of the head, and for a part of the GRU and of the user's network."""
    loss = agent.objective.metrics(agent.network, agent.layer, user, data, entropy)["loss"]
    weights = [agent.network.head.bias, agent.network.cell.bias_ih, agent.network.user[2].bias, agent.network.items]
    return torch.cat([part.flatten() for part in torch.autograd.grad(loss, weights)])


def enumerated(agent: SlateAgent, user: Tensor, data: SlateData) -> Tensor:
    """Mean expected reward less the KL of each choice, as a sum over all slates, one user and one slate at a time."""
    total, network = torch.zeros(()), agent.network
    for one in user:
        for first, second in itertools.permutations(range(4), 2):
            state = network.start(one[None])
            p = network.head(state).softmax(-1)
            state = network.advance(state, torch.tensor([first]))
            q = network.head(state)[0].masked_fill(torch.arange(4) == first, -torch.inf).softmax(-1)
            kl = (p * (4 * p).log()).sum() + sum(q[i] * (4 * q[i]).log() for i in range(4) if i != first)
            reward = data.reward(one, torch.tensor([first, second]))
            total = total + p[0, first] * q[second] * (reward - ENTROPY * kl) / len(user)
    return total


def test_exact_equals_enumeration(make: Callable[..., SlateAgent], data: SlateData) -> None:
    """Value and gradient of ``exact`` are those of a loop over all slates."""
    agent, user = make(estimator="exact"), data.splits.train.vectors[:3]
    loss = agent.objective.metrics(agent.network, agent.layer, user, data, ENTROPY)["loss"]
    truth = enumerated(agent, user, data)
    torch.testing.assert_close(-loss, truth)
    found, expected = (torch.autograd.grad(value, list(agent.network.parameters())) for value in (-loss, truth))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in FAST else pytest.mark.slow) for name in UNBIASED]
)
def test_slate_gradient_is_unbiased(name: str, make: Callable[..., SlateAgent], data: SlateData) -> None:
    """|z| < 4 of the mean over many draws along the exact gradient, and of each coordinate with Bonferroni's margin."""
    estimator, objective, draws = UNBIASED[name]
    user = data.splits.train.vectors[:2]
    truth = gradient(make(estimator="exact"), user, data)
    agent = make(estimator=estimator, objective=objective)
    repeats = 100  # users of one call are averaged, so copies are draws
    drawn = torch.stack([gradient(agent, user.repeat(repeats, 1), data) for _ in range(draws // repeats)])
    error = drawn.std(0) / len(drawn) ** 0.5
    z = (drawn.mean(0) - truth) / error.clamp(min=1e-9)
    along = drawn @ truth / truth.norm()
    z_along = (along.mean() - truth.norm()) / (along.std() / len(along) ** 0.5)
    print(f"{name}: z along the gradient {float(z_along):.2f}, largest of a coordinate {float(z.abs().max()):.2f}")
    assert abs(float(z_along)) < 4 and float(z.abs().max()) < 7  # 40 means: the tails are those of t


@pytest.mark.parametrize("name", COSINE)
def test_biased_slate_gradient_is_near(name: str, make: Callable[..., SlateAgent], data: SlateData) -> None:
    """Cosine and relative bias of the mean gradient are printed; the cosine is a known one."""
    user = data.splits.train.vectors[:2]
    truth = gradient(make(estimator="exact"), user, data, 0.0)
    agent = make(estimator=name, temperature=0.7)
    mean = torch.stack([gradient(agent, user.repeat(500, 1), data, 0.0) for _ in range(10)]).mean(0)
    cosine = float(torch.cosine_similarity(mean, truth, dim=0))
    print(f"{name}: cosine {cosine:.3f}, relative bias {float((mean - truth).norm() / truth.norm()):.2f}")
    assert cosine > COSINE[name]


def test_every_pathwise_estimator_is_compared() -> None:
    assert set(COSINE) == {
        name for name in ESTIMATORS if ESTIMATORS[name].pathwise and ESTIMATORS[name].categories is None
    }


def test_shuffled_reward_has_no_gradient(make: Callable[..., SlateAgent], data: SlateData) -> None:
    """With the purchases of another user's slate the mean gradient is 0: |z| < 4 along the true one."""
    user = data.splits.train.vectors[:2]
    truth = gradient(make(estimator="exact"), user, data, 0.0)
    agent = make(estimator=LEAVE_ONE_OUT, objective={"name": "black_box", "shuffled": True})
    along = torch.stack([gradient(agent, user.repeat(100, 1), data, 0.0) for _ in range(40)]) @ truth / truth.norm()
    assert abs(float(along.mean() / (along.std() / len(along) ** 0.5))) < 4
    assert float(along.mean()) < 0.5 * float(truth.norm())
    with pytest.raises(ValueError, match="batch_size to 2 or more"):
        gradient(agent, user[:1], data, 0.0)


def test_mask_of_relaxed_picks_is_shared(make: Callable[..., SlateAgent]) -> None:
    """The agent's own mask is the layer's: two picks of .9 and a one-hot are finite, and have a finite gradient."""
    taken = torch.tensor([[0.9, 0.1, 0.0, 0.0], [0.9, 0.0, 0.1, 0.0]], requires_grad=True)
    logits = exclude_taken(torch.zeros(4), taken[0], taken[1])
    logits.softmax(-1)[0].backward()
    assert logits.isfinite().all() and taken.grad is not None and taken.grad.isfinite().all()
