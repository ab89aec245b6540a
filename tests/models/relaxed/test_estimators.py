"""Every registered estimator against exact enumeration in NumPy."""

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from gumbelzoo.models.relaxed import ESTIMATORS, RelaxedCategorical
from gumbelzoo.models.relaxed.estimators.exact import configurations
from gumbelzoo.models.relaxed.noise import draw_noise
from torch import Tensor

NAMES = ESTIMATORS.names()
# Every baseline must be unbiased too.
UNBIASED = [(name, None) for name in NAMES if ESTIMATORS[name].unbiased and name != "exact"] + [
    ("reinforce", baseline) for baseline in ("none", "moving_average", "learned")
]
BIASED = [name for name in NAMES if not ESTIMATORS[name].unbiased]
# unbiased, pathwise, exact value, least samples, cost evaluations at the defaults for n = 3, k = 4 (disarm: 2)
FACTS = {
    "arsm": (True, False, True, 1, 7),
    "concrete": (False, True, False, 1, 1),
    "decoupled_straight_through_gumbel_softmax": (False, True, False, 1, 1),
    "disarm": (True, False, True, 1, 2),
    "exact": (True, False, True, 1, 65),
    "gapped_straight_through": (False, True, True, 1, 1),
    "gumbel_rao": (False, True, True, 1, 1),
    "gumbel_softmax": (False, True, False, 1, 1),
    "muprop": (True, False, True, 1, 2),
    "rebar": (True, False, True, 1, 2),
    "reinforce": (True, False, True, 1, 4),
    "reinmax": (False, True, True, 1, 1),
    "relax": (True, False, True, 1, 2),
    "straight_through": (False, True, True, 1, 1),
    "straight_through_gumbel_softmax": (False, True, True, 1, 1),
    "unordered": (True, False, True, 2, 4),
    "vimco": (True, False, True, 2, 4),
}
# |mean gradient - exact| / |exact| at temperature 1 and default options, at 3x3, 8x4 and 2x12, from a million draws.
BIAS = {
    "concrete": (0.3665, 0.5788, 0.3226),
    "decoupled_straight_through_gumbel_softmax": (0.3159, 0.379, 0.2537),
    "gapped_straight_through": (0.1873, 0.2433, 0.1598),
    "gumbel_rao": (0.3002, 0.2851, 0.2325),
    "gumbel_softmax": (0.3665, 0.5788, 0.3226),
    "reinmax": (0.0582, 0.2417, 0.0767),
    "straight_through": (0.1663, 0.2456, 0.2175),
    "straight_through_gumbel_softmax": (0.3005, 0.2849, 0.2315),
}


def layer_for(name: str, n: int, k: int) -> RelaxedCategorical:
    return RelaxedCategorical(name, event_shape=(n, k))


def draws_for(name: str, problem: object, budget: int = 400_000) -> int:
    """Draws whose cost evaluations fit the budget."""
    evaluations = layer_for(name, problem.n, problem.k).estimator.cost_evaluations(problem.n, problem.k)
    return min(60_000, budget // evaluations)


def skip_other_categories(name: str, k: int) -> None:
    if ESTIMATORS[name].categories not in (None, k):
        pytest.skip(f"{name} is for k = {ESTIMATORS[name].categories}")


@pytest.mark.parametrize("name", NAMES)
def test_estimator_facts(name: str) -> None:
    """Facts are as declared, and cost evaluations as counted."""
    kind = ESTIMATORS[name]
    n, k, rows = 3, kind.categories or 4, 0
    estimator = layer_for(name, n, k).estimator
    assert FACTS[name] == (
        kind.unbiased, kind.pathwise, kind.exact_value, kind.minimum_samples, estimator.cost_evaluations(n, k)
    )  # fmt: skip

    def cost(z: Tensor) -> Tensor:
        nonlocal rows
        rows += z.shape[:-2].numel()
        return z[..., 0].sum(-1)

    layer_for(name, n, k).expectation(torch.randn(5, n, k, requires_grad=True), cost)
    assert rows == 5 * estimator.cost_evaluations(n, k)


def test_tables_have_every_estimator() -> None:
    assert set(FACTS) == set(NAMES)
    assert set(BIAS) == set(BIASED)


@pytest.mark.parametrize("name", NAMES)
def test_one_hot_forward_is_exact(name: str) -> None:
    """The samples that the cost sees are exactly one-hot if the estimator says so, and never otherwise."""
    k, seen = ESTIMATORS[name].categories or 3, []

    def cost(z: Tensor) -> Tensor:
        seen.append(z.detach())
        return z[..., 0].sum(-1).square()

    layer_for(name, 2, k).expectation(torch.randn(64, 2, k, requires_grad=True), cost)
    one_hot = [bool(((z == 0) | (z == 1)).all() and (z.sum(-1) == 1).all()) for z in seen]
    # Control variates evaluate the cost at relaxed points too, besides the samples.
    relaxed = {"muprop": 1, "rebar": 1, "relax": 1}.get(name, 0)
    assert sum(one_hot) == (len(seen) - relaxed if ESTIMATORS[name].one_hot_forward else 0)


def test_exact_equals_enumeration(problem: object) -> None:
    logits, weight, scale = (t.double().requires_grad_() for t in problem.given)
    value = RelaxedCategorical("exact").expectation(logits[None], problem.cost(weight, scale))
    gradients = torch.autograd.grad(value.sum(), [logits, weight, scale])
    for got, expected in zip([value.detach().squeeze(0), *gradients], problem.exact, strict=True):
        assert torch.allclose(got, torch.as_tensor(expected, dtype=torch.float64), atol=1e-10)


def test_configurations_are_the_product() -> None:
    expected = list(itertools.product(range(3), repeat=4))
    assert [tuple(row) for row in configurations(4, 3).tolist()] == expected


@pytest.mark.parametrize(("name", "baseline"), UNBIASED)
def test_unbiased_estimators_are_unbiased(name: str, baseline: str | None, problem: object, z_scores: object) -> None:
    """In value and in all gradients, those of the cost's own parameters too; |z| < 4 in every coordinate."""
    skip_other_categories(name, problem.k)
    estimates = problem.estimate(name, draws_for(name, problem), **({"baseline": baseline} if baseline else {}))
    for draws, exact in zip(estimates, problem.exact, strict=True):
        assert z_scores(draws, exact).abs().max() < 4


@pytest.mark.parametrize("name", BIASED)
def test_biased_estimators_have_the_recorded_bias(name: str, problem: object, z_scores: object) -> None:
    """Within four standard errors; an exact value and its gradients for the cost's own parameters are unbiased."""
    value, d_logits, *d_own = problem.estimate(name, 60_000)
    if ESTIMATORS[name].exact_value:
        for draws, exact in zip([value, *d_own], [problem.exact[0], *problem.exact[2:]], strict=True):
            assert z_scores(draws, exact).abs().max() < 4
    exact = torch.as_tensor(problem.exact[1])
    error = d_logits.double().var(0).sum().sqrt() / len(d_logits) ** 0.5 / exact.norm()
    bias = (d_logits.double().mean(0) - exact).norm() / exact.norm()
    recorded = BIAS[name][["3x3", "8x4", "2x12"].index(f"{problem.k}x{problem.n}")]
    assert abs(bias - recorded) < 4 * error
    assert recorded > 4 * error


@pytest.mark.parametrize("name", NAMES)
def test_cost_without_gradient(name: str) -> None:
    """An error for estimators that are pathwise or whose control variate needs a gradient."""
    k = ESTIMATORS[name].categories or 3
    logits, layer = torch.randn(200, 2, k, requires_grad=True), layer_for(name, 2, k)

    def cost(z: Tensor) -> Tensor:
        return (z.argmax(-1) == 0).float().sum(-1)

    if ESTIMATORS[name].pathwise or name in ("muprop", "rebar", "relax"):
        with pytest.raises(ValueError, match="use 'reinforce'"):
            layer.expectation(logits, cost)
        return
    layer.expectation(logits, cost).sum().backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
    assert logits.grad.abs().sum() > 0


@pytest.mark.parametrize("outer", NAMES)
@pytest.mark.parametrize("inner", ["same", "straight_through_gumbel_softmax", "reinforce"])
def test_stacked_layers_nest(outer: str, inner: str) -> None:
    """The cost of the first layer contains the expectation of the second; every parameter gets a gradient."""
    k = ESTIMATORS[outer].categories or 3
    torch.manual_seed(0)
    first = torch.randn(64, 2, k, requires_grad=True)
    weight = torch.randn(2 * k, 2 * k, requires_grad=True)
    outer_layer, inner_layer = layer_for(outer, 2, k), layer_for(outer if inner == "same" else inner, 2, k)

    def cost(z1: Tensor) -> Tensor:
        second = (z1.flatten(-2) @ weight).unflatten(-1, (2, k))
        return inner_layer.expectation(second, lambda z2: (z2 * z1).sum((-1, -2)).square())

    value = outer_layer.expectation(first, cost)
    assert value.shape == (64,)
    value.sum().backward()
    own = [*outer_layer.parameters(), *inner_layer.parameters()]
    for parameter in (first, weight, *own):
        assert parameter.grad is not None
        assert parameter.grad.isfinite().all()
        assert parameter.grad.abs().sum() > 0


@pytest.mark.parametrize("name", [name for name in NAMES if ESTIMATORS[name].unbiased])
def test_stacked_unbiased_estimators_are_unbiased(name: str, z_scores: object) -> None:
    draws, k = (1 if name == "exact" else 20_000), ESTIMATORS[name].categories or 3
    torch.manual_seed(0)
    first, weight = 0.5 * torch.randn(2, k), 0.5 * torch.randn(2 * k, 2 * k)

    def gradients(name: str, draws: int) -> tuple[Tensor, ...]:
        leaves = [t.expand(draws, *t.shape).clone().requires_grad_() for t in (first, weight)]
        outer, inner = layer_for(name, 2, k), layer_for(name, 2, k)

        def cost(z1: Tensor) -> Tensor:
            second = torch.einsum("...i,...ij->...j", z1.flatten(-2), leaves[1]).unflatten(-1, (2, k))
            return inner.expectation(second, lambda z2: (z2 * z1).sum((-1, -2)).exp())

        value = outer.expectation(leaves[0], cost)
        return value.detach(), *torch.autograd.grad(value.sum(), leaves)

    for got, exact in zip(gradients(name, draws), gradients("exact", 1), strict=True):
        if name != "exact":
            assert z_scores(got, exact[0]).abs().max() < 4


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_logits(name: str, dtype: torch.dtype) -> None:
    """Results equal those of float32 for the same logits and noise, up to rounding."""
    k = ESTIMATORS[name].categories or 3
    rounded = torch.randn(64, 2, k).to(dtype)
    found = []
    for logits in (rounded.clone().requires_grad_(), rounded.float().requires_grad_()):
        torch.manual_seed(1)
        layer = layer_for(name, 2, k)
        generator = torch.Generator().manual_seed(2)
        value = layer.expectation(logits, lambda z: (50 * z[..., 0]).float().sum(-1).square(), generator=generator)
        value.sum().backward()
        assert logits.grad is not None and logits.grad.dtype == logits.dtype
        found.append((value.detach().float(), logits.grad.float()))
    for half, whole in zip(*found, strict=True):
        error = (half - whole).norm() / whole.norm()
        assert error < (1e-2 if dtype == torch.bfloat16 else 2e-3), error


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("how", ["mask", "logits"])
def test_masked_logits_get_no_gradient(name: str, how: str) -> None:
    k = ESTIMATORS[name].categories or 3
    mask, price = torch.tensor([True, False, True][:k]), torch.tensor([1.0, 9.0, 4.0][:k])
    leaf = torch.randn(64, 2, k).requires_grad_()
    logits = leaf.masked_fill(~mask, -math.inf) if how == "logits" else leaf
    layer = layer_for(name, 2, k)
    value = layer.expectation(logits, lambda z: (z * price).sum((-1, -2)), mask=mask if how == "mask" else None)
    (value.square().sum() + layer.kl(logits.masked_fill(~mask, -math.inf)).sum()).backward()
    assert (value <= 8.001).all()
    assert leaf.grad is not None
    assert leaf.grad.isfinite().all()
    assert (leaf.grad[..., 1] == 0).all()
    assert all(p.grad is None or p.grad.isfinite().all() for p in layer.parameters())


@pytest.mark.parametrize("name", [name for name in NAMES if ESTIMATORS[name].unbiased])
def test_unbiased_with_masked_categories(name: str, z_scores: object) -> None:
    k = ESTIMATORS[name].categories or 4
    mask = torch.ones(2, k, dtype=torch.bool)
    mask[0, 1] = False
    torch.manual_seed(0)
    logits, price = torch.randn(2, k), torch.where(mask, torch.randn(2, k), 100.0)

    def gradient(name: str, draws: int) -> Tensor:
        rows = logits.expand(draws, 2, k).clone().requires_grad_()
        value = layer_for(name, 2, k).expectation(rows, lambda z: (z * price).sum((-1, -2)).square(), mask=mask)
        return torch.autograd.grad(value.sum(), rows)[0]

    exact = gradient("exact", 1)[0]
    assert np.allclose(exact[0, 1], 0)
    if name != "exact":
        assert z_scores(gradient(name, 20_000), exact).abs().max() < 4


def test_noise_of_wrong_shape_raises() -> None:
    with pytest.raises(ValueError, match="noise must have shape"):
        draw_noise(torch.zeros(4), noise=torch.zeros(3))


def test_exact_with_infinite_masked_cost() -> None:
    """0 * inf would be NaN, in the value and in the gradient."""
    logits = torch.zeros(1, 2, 3).requires_grad_()
    weight = torch.tensor([1.0, 2.0, torch.inf])
    mask = torch.tensor([True, True, False])

    def cost(z: Tensor) -> Tensor:
        return torch.where(z > 0, weight, 0.0).sum((-1, -2))

    value = RelaxedCategorical("exact").expectation(logits, cost, mask=mask)
    value.sum().backward()
    assert value.item() == pytest.approx(3.0)
    assert logits.grad is not None and logits.grad.isfinite().all()


@pytest.mark.parametrize("name", [name for name in NAMES if not ESTIMATORS[name].pathwise])
def test_double_precision_logits(name: str) -> None:
    k = ESTIMATORS[name].categories or 3
    logits = torch.randn(8, 2, k, dtype=torch.float64, requires_grad=True)
    layer_for(name, 2, k).expectation(logits, lambda z: z[..., 0].sum(-1).square()).sum().backward()
    assert logits.grad is not None and logits.grad.dtype == torch.float64 and logits.grad.isfinite().all()


@pytest.mark.parametrize("name", NAMES)
def test_cost_of_wrong_shape_raises(name: str) -> None:
    k = ESTIMATORS[name].categories or 3
    with pytest.raises(ValueError, match="one value per example"):
        layer_for(name, 2, k).expectation(torch.zeros(4, 2, k, requires_grad=True), lambda z: z.mean())


@pytest.mark.parametrize("name", ["rebar", "relax"])
def test_cost_without_gradient_for_z_raises(name: str) -> None:
    """Also where it has one for its own parameters: zeros instead of a gradient would bias the estimate."""
    table = torch.nn.Embedding(3, 4)
    layer = RelaxedCategorical(name, event_shape=(2, 3))
    with pytest.raises(ValueError, match="use 'reinforce' for a black box"):
        layer.expectation(torch.zeros(4, 2, 3, requires_grad=True), lambda z: table(z.argmax(-1)).sum((-1, -2)))


@pytest.mark.parametrize(("name", "options"), [("rebar", {}), ("reinforce", {"baseline": "learned"})])
def test_own_parameters_descend_for_rewards(name: str, options: dict[str, Any]) -> None:
    """With the same noise, minimising and maximising move an estimator's parameters the same way."""
    gradients = []
    for sign in (1.0, -1.0):
        torch.manual_seed(0)
        layer = RelaxedCategorical({"name": name, "samples": 1, **options}, event_shape=(2, 3))
        value = layer.expectation(torch.randn(16, 2, 3, requires_grad=True), lambda z: z[..., 0].sum(-1) * 3 - 1)
        (sign * value).mean().backward()
        gradients.append([parameter.grad for parameter in layer.estimator.parameters()])
    assert any(gradient is not None and gradient.abs().sum() > 0 for gradient in gradients[0])
    torch.testing.assert_close(gradients[0], gradients[1])


@pytest.mark.parametrize(("n", "k", "samples"), [(80, 8, 5), (200, 2, 10), (64, 128, 4)])
def test_unordered_with_tiny_probabilities(n: int, k: int, samples: int) -> None:
    """The product of the probabilities underflows."""
    logits = (0.01 * torch.randn(4, n, k)).requires_grad_()
    layer = RelaxedCategorical({"name": "unordered", "samples": samples}, event_shape=(n, k))
    value = layer.expectation(logits, lambda z: z[..., 0].sum(-1))
    value.sum().backward()
    assert value.isfinite().all() and logits.grad is not None and logits.grad.isfinite().all()
    assert logits.grad.abs().sum() > 0


@pytest.mark.parametrize("temperature", [2.0, 5.0])
def test_half_precision_ties_are_random(temperature: float) -> None:
    """The noise decides before rounding, not the order of the categories."""
    layer = RelaxedCategorical("straight_through_gumbel_softmax", temperature)
    share = layer(torch.zeros(2_000_000, 2, dtype=torch.bfloat16), generator=torch.Generator().manual_seed(0))[:, 0]
    assert abs(share.double().mean() - 0.5) < 4 * 0.5 / 2_000_000**0.5
