"""Gates: gradients against enumeration, P(open) against draws, evaluation without noise, costs."""

import itertools
import math
from typing import Any

import pytest
import torch
from gumbelzoo.models.gates import GATE_COSTS, GATES, SELECTORS
from gumbelzoo.models.relaxed import ESTIMATORS, SUBSET_ESTIMATORS, hard_concrete
from gumbelzoo.models.relaxed.noise import gumbel_noise
from gumbelzoo.models.relaxed.subset.exact import subsets
from torch import Tensor

N = 4
LOGITS = torch.tensor([0.5, -1.0, 1.5, 0.2])
WEIGHT = torch.tensor([0.7, -0.4, 0.3, -0.9])
ESTIMATED = [name for name in ESTIMATORS.names() if name != "exact"]
OPTIONS: dict[str, dict[str, Any]] = {"exactly_k": {"k": 2}, "fixed": {"open": [0, 2]}, "random_k": {"k": 2}}
KINDS = [{"name": name, **OPTIONS.get(name, {})} for name in GATES.names()]
RANDOM = [spec for spec in KINDS if spec["name"] not in ("fixed", "random_k", "scale")]


def build(spec: Any, channels: int = N) -> Any:
    return GATES.build(spec, channels=channels)


def cost(z: Tensor) -> Tensor:
    """``... n -> ...``, not linear in the gates."""
    return (z @ WEIGHT).exp() + z[..., 0] * z[..., 1]


def enumerated(exactly: int | None = None) -> tuple[Tensor, Tensor]:
    """Expected cost and its gradient for the logits, from the definition."""
    logits = LOGITS.double().requires_grad_()
    z = torch.tensor(list(itertools.product([0.0, 1.0], repeat=N))) if exactly is None else subsets(N, exactly)
    scores = z.double() @ logits
    value = scores.softmax(0) @ cost(z).double()
    return value.detach(), torch.autograd.grad(value, logits)[0]


@pytest.mark.parametrize("name", ESTIMATED)
def test_bernoulli_gates_against_exact(name: str, z_scores: Any) -> None:
    """Every estimator: |z| < 4 for unbiased ones; bias and cosine of the others are printed, and the cosine is high."""
    draws = 20_000 if ESTIMATORS[name].unbiased else 40_000
    value, exact = enumerated()
    gates, logits = build({"name": "bernoulli", "estimator": name}), LOGITS.expand(draws, N).clone().requires_grad_()
    found = gates.expectation(logits, cost)
    (gradient,) = torch.autograd.grad(found.sum(), logits)
    if ESTIMATORS[name].exact_value:
        assert z_scores(found.detach(), value).abs() < 4
    if ESTIMATORS[name].unbiased:
        assert z_scores(gradient, exact).abs().max() < 4
        return
    mean = gradient.double().mean(0)
    cosine = torch.cosine_similarity(mean, exact, dim=0)
    print(f"{name}: bias {(mean - exact).norm() / exact.norm():.3f}, cosine {cosine:.3f}")
    assert cosine > 0.8


def test_exact_gates_equal_enumeration() -> None:
    for spec, value in (
        ({"name": "bernoulli", "estimator": "exact"}, enumerated()),
        ({"name": "exactly_k", "k": 2, "estimator": "exact"}, enumerated(2)),
    ):
        logits = LOGITS.double()[None].requires_grad_()
        found = build(spec).expectation(logits, cost_of_double)
        torch.testing.assert_close(found.detach()[0], value[0])
        torch.testing.assert_close(torch.autograd.grad(found.sum(), logits)[0][0], value[1])


def cost_of_double(z: Tensor) -> Tensor:
    return (z @ WEIGHT.to(z)).exp() + z[..., 0] * z[..., 1]


@pytest.mark.parametrize("spec", KINDS, ids=lambda spec: spec["name"])
def test_gates_of_evaluation_are_fixed(spec: dict[str, Any]) -> None:
    """Nothing is drawn, whatever the temperature is: the same gates twice, between 0 and 1, without gradient."""
    gates, logits = build(spec).eval(), torch.randn(50, N, requires_grad=True)
    torch.manual_seed(1)
    first = gates.mode(logits)
    torch.manual_seed(2)
    assert torch.equal(gates.mode(logits), first) and not first.requires_grad
    assert torch.equal(gates.expectation(logits, cost), cost(first))
    if spec["name"] in ("bernoulli", "exactly_k", "fixed"):
        assert ((first == 0) | (first == 1)).all()
    if spec["name"] == "hard_concrete":
        other = build({**spec, "temperature": 0.1}).eval()
        assert torch.equal(other.mode(logits), first) and (first == 0).any() and (first == 1).any()


@pytest.mark.parametrize("spec", RANDOM, ids=lambda spec: spec["name"])
def test_open_probability_is_that_of_draws(spec: dict[str, Any]) -> None:
    """Expected open gates equal the count of drawn ones; for hard concrete it is not that of a Bernoulli variable."""
    draws, seen = 100_000, []
    gates = build({**spec, "estimator": "reinforce"} if spec["name"] != "hard_concrete" else spec)
    logits = LOGITS.expand(draws, N)
    gates.expectation(logits, lambda z: seen.append(z) or z[..., 0])
    drawn = (seen[0].reshape(-1, N) != 0).double().mean(0)
    found = gates.open_probability(LOGITS).double()
    assert (drawn - found).abs().max() < 4 * 0.5 / draws**0.5
    if spec["name"] == "hard_concrete":
        assert (found - LOGITS.sigmoid()).min() > 0.1
        assert ((seen[0] > 0) & (seen[0] < 1)).any() and (seen[0] == 1).any()


def test_hard_concrete_gradcheck() -> None:
    """Of draws inside (0, 1), of P(open) and of the temperature."""
    logits, noise = torch.randn(6, dtype=torch.float64, requires_grad=True), gumbel_noise((6, 2)).double()
    temperature = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, t: hard_concrete.sample(x, t, lambda like: noise), (logits, temperature))
    assert torch.autograd.gradcheck(hard_concrete.open_probability, (logits, temperature))


@pytest.mark.parametrize("spec", RANDOM, ids=lambda spec: spec["name"])
def test_every_gate_gets_its_own_gradient(spec: dict[str, Any]) -> None:
    """Gates that get equal gradients stay equal for ever; a penalty pushes every gate, and down."""
    gates = build(spec)
    logits = torch.zeros(2000, N, requires_grad=True)
    (gradient,) = torch.autograd.grad(gates.expectation(logits, cost).mean(), logits)
    total = gradient.sum(0)
    assert (total != 0).all() and len(set(total.tolist())) == N
    if spec["name"] == "exactly_k":
        return
    penalty = GATE_COSTS.build({"name": "penalty", "weight": 0.5}, prices=torch.full((N,), 1 / N))
    (gradient,) = torch.autograd.grad(penalty(gates.open_probability(logits)).mean(), logits)
    assert (gradient > 0).all()


@pytest.mark.parametrize("name", ["bernoulli", "hard_concrete"])
def test_gates_whose_schedule_stands_still_warn(name: str) -> None:
    """Once, after 1,000 training calls."""
    gates = build({"name": name, "temperature": "exponential"})

    def train(calls: int) -> None:
        for _ in range(calls):
            gates.expectation(LOGITS[None], cost)

    train(999)
    with pytest.warns(UserWarning, match=r"without advance\(\)") as caught:
        train(101)
    assert len(caught) == 1


def test_temperature_changes_the_gradient() -> None:
    """An argument that public code ignores."""
    found = []
    for temperature in (0.5, 2.0):
        torch.manual_seed(0)
        for spec in ({"name": "bernoulli", "estimator": "gumbel_softmax"}, {"name": "hard_concrete"}):
            logits = LOGITS.expand(100, N).clone().requires_grad_()
            value = build({**spec, "temperature": temperature}).expectation(logits, cost)
            found.append(torch.autograd.grad(value.sum(), logits)[0])
    assert not torch.allclose(found[0], found[2]) and not torch.allclose(found[1], found[3])


@pytest.mark.parametrize("name", SUBSET_ESTIMATORS.names())
def test_exactly_k_gates_are_k(name: str, z_scores: Any) -> None:
    """Draws and evaluation have k open gates; unbiased estimators agree with enumeration."""
    gates, seen = build({"name": "exactly_k", "k": 2, "estimator": name}), []
    logits = LOGITS.expand(20_000, N).clone().requires_grad_()
    found = gates.expectation(logits, lambda z: seen.append(z.detach()) or cost(z))
    assert torch.allclose(seen[-1].sum(-1), torch.tensor(2.0))
    assert gates.mode(LOGITS).tolist() == [1, 0, 1, 0]
    if SUBSET_ESTIMATORS[name].unbiased and name != "exact":
        assert z_scores(torch.autograd.grad(found.sum(), logits)[0], enumerated(2)[1]).abs().max() < 4


def test_one_draw_for_a_batch() -> None:
    """One row of logits is one draw: all examples see the same gates; otherwise each sees its own."""
    features = torch.zeros(64, N, 2, 2)
    for draw, rows in (("batch", 1), ("example", 64)):
        logits = SELECTORS.build({"name": "static", "draw": draw}, channels=N)(features)
        seen: list[Tensor] = []
        build("bernoulli").expectation(logits, lambda z, seen=seen: seen.append(z) or z.sum(-1))
        assert logits.shape == (rows, N) and seen[0].shape[-2] == rows
        assert (len(seen[0].unique(dim=-2)[0]) > 1) == (draw == "example")


def test_dynamic_gates_depend_on_the_input() -> None:
    selector = SELECTORS.build({"name": "dynamic", "start": 0.7}, channels=N)
    logits = selector(torch.randn(5, N, 3, 3).requires_grad_())
    assert logits.shape == (5, N) and logits.std(0).min() > 0
    assert selector(torch.zeros(1, N, 3, 3)).sigmoid().mean().item() == pytest.approx(0.7, abs=0.1)


def test_gate_costs() -> None:
    """A penalty is the weight times the expected share of the price; a budget costs nothing until it is exceeded."""
    prices, openness = torch.tensor([0.4, 0.3, 0.2, 0.1]), torch.tensor([[1.0, 0.5, 0.0, 0.0], [0.0, 0.0, 0.5, 1.0]])
    penalty = GATE_COSTS.build({"name": "penalty", "weight": 2.0}, prices=prices)
    assert penalty(openness).tolist() == pytest.approx([1.1, 0.4])
    for share, excess in ((0.5, 0.0), (0.25, 0.125)):
        budget = GATE_COSTS.build({"name": "budget", "share": share, "weight": 2.0}, prices=prices)
        assert budget(openness).tolist() == pytest.approx([2 * excess] * 2)
    assert GATE_COSTS.build("none", prices=prices)(openness).tolist() == [0, 0]


@pytest.mark.parametrize(
    ("registry", "spec", "message"),
    [
        (GATES, {"name": "exactly_k", "k": 5}, "k=5 of 4"),
        (GATES, {"name": "scale", "k": 5}, "k=5 of 4"),
        (GATES, {"name": "random_k", "k": 5}, "k=5 of 4"),
        (GATES, {"name": "fixed", "open": [0, 0]}, "different channels from 0 to 3"),
        (GATES, {"name": "fixed", "open": []}, "different channels from 0 to 3"),
        (GATES, {"name": "fixed", "open": [4]}, "different channels from 0 to 3"),
        (GATES, {"name": "hard_concrete", "temperature": -1.0}, "temperature"),
        (GATES, {"name": "bernouli"}, "did you mean 'bernoulli'"),
        (SELECTORS, {"name": "static", "start": 1.0}, r"start must be a probability"),
        (SELECTORS, {"name": "static", "draw": "rows"}, "draw must be one of example, batch"),
    ],
)
def test_gate_mistakes_are_named(registry: Any, spec: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        registry.build(spec, channels=N)
    assert "\n" not in str(caught.value)


def test_budget_out_of_range_raises() -> None:
    for spec, message in (
        ({"name": "budget", "share": 0.0}, "share must be in"),
        ({"name": "penalty", "weight": math.inf}, "weight must be finite"),
    ):
        with pytest.raises(ValueError, match=message):
            GATE_COSTS.build(spec, prices=torch.ones(2) / 2)


def test_scale_gates_keep_the_largest() -> None:
    gates = build({"name": "scale", "k": 2})
    assert gates.mode(LOGITS).tolist() == pytest.approx([0, -1, 1.5, 0])
    assert gates.open_probability(LOGITS).tolist() == pytest.approx([0.5, 1, 1.5, 0.2])
    assert torch.equal(gates.expectation(LOGITS[None], cost), cost(LOGITS[None]))


def test_random_k_gates_draw_all_sets() -> None:
    """Each pair of four gates as often, whatever the logits are; P(open) is 1/2."""
    gates, seen = build({"name": "random_k", "k": 2}), []
    gates.expectation(LOGITS.expand(60_000, N), lambda z: seen.append(z) or z[..., 0])
    sets, counts = seen[0].unique(dim=0, return_counts=True)
    assert len(sets) == 6 and (sets.sum(-1) == 2).all()
    assert ((counts - 10_000).square() / 10_000).sum() < 20.5  # 99.9% of chi-square with 5 degrees of freedom
    assert gates.mode(LOGITS).tolist() == [1, 1, 0, 0] and (gates.open_probability(LOGITS) == 0.5).all()


def test_fixed_gates_are_open_by_default() -> None:
    assert build("fixed").mode(LOGITS).tolist() == [1, 1, 1, 1]
