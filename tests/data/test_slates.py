"""Slates: the reward against a loop in Python, the policies against enumeration."""

from __future__ import annotations

import itertools
import math

import jaxtyping
import numpy as np
import pytest
import torch
from gumbelzoo.data import SlateData
from gumbelzoo.data.slates import environment as world
from gumbelzoo.data.slates import policies
from gumbelzoo.data.slates.environment import CATEGORIES, TASTES, Environment, draw_users
from torch import Tensor


def loop(environment: Environment, user: Tensor, slate: list[int]) -> float:
    """Expected purchases of one slate, written out."""
    v, c, w = environment.items.tolist(), environment.categories.argmax(-1).tolist(), environment.effects.tolist()
    tastes, need = user[:TASTES].tolist(), int(user[TASTES:].argmax())
    total = 0.0
    for bought_before in (False, True):
        here = 0.5
        for t, item in enumerate(slate):
            logit = -1.5 + sum(a * b for a, b in zip(tastes, v[item], strict=True))
            if c[item] == need:
                logit += -3.0 if bought_before else 2.5
            for s in range(t):
                logit += w[c[item]][c[slate[s]]] * 0.6 ** (t - s - 1)
            total += here / (1 + math.exp(-logit))
            leave = 0.08 + 0.35 * (t > 0 and c[item] == c[slate[t - 1]]) + 0.6 * (bought_before and c[item] == need)
            here *= 1 - min(1.0, leave)
    return total


@pytest.mark.parametrize(("items", "slots"), [(10, 3), (300, 6)], ids=["ten", "many"])
def test_reward_equals_loop(items: int, slots: int) -> None:
    """Of 300 items too, whose ids do not fit into 8 bits, as codes and as points; ids are int64, rewards float32."""
    environment, user = Environment.draw(0, items), draw_users(20, 0, 2)
    slates = torch.stack([torch.randperm(items)[:slots] for _ in range(20)])
    assert slates.dtype == torch.int64 and environment.reward(user, slates).dtype == torch.float32
    expected = torch.tensor([loop(environment, u, s) for u, s in zip(user, slates.tolist(), strict=True)])
    points = torch.eye(items)[slates]
    torch.testing.assert_close(environment.reward(user, slates), expected, rtol=0, atol=2e-6)
    torch.testing.assert_close(environment.reward(user.double(), slates), expected.double(), rtol=0, atol=1e-6)
    torch.testing.assert_close(environment.reward(user.double(), points.double()), expected.double(), rtol=0, atol=1e-6)
    if items > 128:
        assert slates.max() > 127


def test_leading_axes_broadcast() -> None:
    """Slates ``m 1 k`` of users ``b d`` are all pairs."""
    environment, user = Environment.draw(0, 10), draw_users(4, 0, 0)
    slates = policies.all_slates(10, 3)[:7]
    rewards = environment.reward(user, slates[:, None])  # m b
    torch.testing.assert_close(rewards.T, policies.rewards_of(environment, user, slates))
    points = torch.eye(10)[slates][:, None]
    torch.testing.assert_close(environment.reward(user, points), rewards)


def test_gradient_compares_the_items_of_a_slot() -> None:
    """At a slate, the derivative for the last slot is the reward of each other item there, up to a constant."""
    environment, user = Environment.draw(0, 10), draw_users(1, 0, 0)[0].double()
    points = torch.eye(10, dtype=torch.float64)[[4, 7, 1]].requires_grad_()
    environment.reward(user, points).backward()
    others = torch.stack([environment.reward(user, torch.tensor([4, 7, item])) for item in range(10)])
    gain, change = points.grad[2] - points.grad[2, 1], others - others[1]
    torch.testing.assert_close(gain, change)


def test_reward_of_relaxed_slates_is_finite() -> None:
    """Leaving with more than certainty is cut off, also at soft points."""
    environment, user = Environment.draw(0, 10), draw_users(50, 0, 0)
    points = torch.rand(50, 3, 10).pow(8).requires_grad_()
    environment.reward(user, points / points.sum(-1, keepdim=True)).sum().backward()
    assert points.grad.isfinite().all() and points.grad.any()


def test_purchases_have_the_expected_mean() -> None:
    """Drawn purchases are 0 or 1, slot by slot, and their mean is the reward: |z| < 4."""
    environment, user = Environment.draw(0, 10), draw_users(1, 0, 0)
    codes = torch.tensor([[3, 8, 0]]).expand(20_000, -1)
    drawn = environment.feedback(user, codes)
    assert set(drawn.unique().tolist()) == {0.0, 1.0} and drawn.shape == codes.shape
    total = drawn.sum(-1)
    z = (total.mean() - environment.reward(user, codes[:1])) / (total.std() / len(total) ** 0.5)
    assert abs(float(z)) < 4
    again = environment.feedback(user, torch.stack([codes, codes]))
    assert again.shape == (2, *codes.shape) and not torch.equal(again[0], again[1])


def test_policies_equal_enumeration() -> None:
    """Greedy and beam equal their definition over all slates; wide beams find the optimum; none shows an item twice."""
    environment, user = Environment.draw(1, 6), draw_users(30, 1, 0)
    slates = policies.all_slates(6, 3)
    rewards = policies.rewards_of(environment, user, slates)
    greedy = policies.beam(environment, user, 3, 1)
    for row, chosen in zip(user, greedy.tolist(), strict=True):
        picked: list[int] = []
        for _ in range(3):
            free = [item for item in range(6) if item not in picked]
            picked.append(max(free, key=lambda item: loop(environment, row, [*picked, item])))
        assert picked == chosen
    wide = policies.beam(environment, user, 3, 36)
    torch.testing.assert_close(environment.reward(user, wide), rewards.amax(1))
    narrow = environment.reward(user, policies.beam(environment, user, 3, 4))
    assert narrow.mean() >= environment.reward(user, greedy).mean()
    assert all(len(set(row)) == 3 for row in [*wide.tolist(), *greedy.tolist()])
    codes = policies.independent(environment, user, 3)
    best = torch.stack(
        [
            rewards[:, [i for i, s in enumerate(slates.tolist()) if set(s) == set(c)]][n].max()
            for n, c in enumerate(codes.tolist())
        ]
    )
    torch.testing.assert_close(policies.best_order(environment, user, codes), best)


def test_slates_need_a_sequential_agent() -> None:
    """Known shares of (optimum - random), for one draw of items and users: no simple policy is near the optimum."""
    draw = np.random.default_rng(0)
    v, w = draw.standard_normal((10, TASTES)) / TASTES**0.5, draw.standard_normal((CATEGORIES, CATEGORIES))
    np.fill_diagonal(w, -1 - abs(np.diag(w)))
    user = np.concatenate(
        [draw.standard_normal((300, TASTES)), np.eye(CATEGORIES)[draw.integers(0, CATEGORIES, 300)]], 1
    )
    categories = np.eye(CATEGORIES)[np.arange(10) % CATEGORIES]
    environment = Environment(*(torch.from_numpy(part).float() for part in (v, categories, w)))
    rewards = policies.controls(environment, torch.from_numpy(user).float(), 3)
    low, high = rewards.pop("random"), rewards.pop("best")
    shares = {name: (value - low) / (high - low) for name, value in rewards.items()}
    expected = {"one for everybody": 0.634, "independent": 0.483, "independent, best order": 0.651, "greedy": 0.808}
    assert shares == pytest.approx(expected, abs=0.002)


def test_large_environment_has_lower_bounds() -> None:
    """Of a thousand items and ten slots: greedy and beam search in the place of the optimum, and it says so."""
    environment, user = Environment.draw(0, 1000), draw_users(20, 0, 2)
    found = policies.references(environment, user, 10)
    assert found["random"].mean() < found["greedy"].mean() <= found["best"].mean()
    assert bool((found["best"] >= found["greedy"]).all())
    assert "lower bound" in SlateData(items=1000, slots=10).details()["best"]


def test_users_and_environments_differ() -> None:
    """Splits and environments share no user; the same number is the same environment."""
    users = [draw_users(50, number, split) for number, split in itertools.product((0, 1), (0, 1, 2))]
    assert len(torch.cat(users).unique(dim=0)) == 300
    one, other = Environment.draw(3, 10), Environment.draw(4, 10)
    assert torch.equal(one.items, Environment.draw(3, 10).items)
    assert not torch.equal(one.items, other.items) and not torch.equal(one.effects, other.effects)
    assert bool((one.effects.diagonal() < -1).all()) and torch.equal(
        Environment.draw(3, 10, 2.0).effects, 2 * one.effects
    )


def test_batches_have_references() -> None:
    """Test batches have what an agent is placed between; training batches have users only."""
    data = SlateData(items=5, slots=2, batch_size=100)
    assert set(next(iter(data.train_dataloader()))) == {"user"}
    batch = next(iter(data.test_dataloader()))
    assert set(batch) == {"user", "random", "greedy", "best"}
    assert bool((batch["random"] < batch["best"]).all()) and bool((batch["greedy"] <= batch["best"] + 1e-6).all())
    assert data.metadata()["best"] == "the optimum of all 20 slates"


@pytest.mark.parametrize(
    "arguments", [{"items": 1}, {"slots": 11}, {"slots": 0}, {"environment": -1}, {"effects": -1.0}, {"items": 10**6}]
)
def test_slate_sizes_out_of_range(arguments: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(arguments))):
        SlateData(**arguments)


def test_leave_probability_is_at_most_one() -> None:
    """A repeat of what was bought already is more than certain to end the visit."""
    environment = Environment.draw(0, 10)
    user = torch.cat([torch.zeros(TASTES), torch.eye(CATEGORIES)[2]])
    visit = environment.visit(user).show(torch.tensor(2))
    assert world.LEAVE + world.REPEATED + world.POINTLESS > 1
    assert float(visit.leave(torch.tensor(7))[1]) == 1.0 and float(visit.show(torch.tensor(7)).stays[1]) == 0.0


def test_effects_are_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """As by a user, whose annotations are not checked: YAML reads 1e-3 as a text."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(ValueError, match="effects must be a number"):
        SlateData(effects="1e-3")
