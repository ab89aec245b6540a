"""Estimators against exact enumeration, written independently in NumPy (pitfalls 13 and 15)."""

import itertools

import numpy as np
import pytest
import torch
from gumbelzoo.models.relaxed import ESTIMATORS, RelaxedCategorical
from gumbelzoo.models.relaxed.estimator import NoiseSource
from gumbelzoo.models.relaxed.exact import configurations
from gumbelzoo.models.relaxed.noise import gumbel_noise
from torch import Tensor

LATENTS, CATEGORIES, DRAWS = 3, 4, 200_000
UNBIASED = [name for name in ESTIMATORS.names() if ESTIMATORS[name].unbiased]
PATHWISE = [name for name in ESTIMATORS.names() if ESTIMATORS[name].pathwise]
FACTS = {
    "exact": (True, False, 1),
    "gumbel_softmax": (False, True, 1),
    "reinforce": (True, False, 2),
    "straight_through": (False, True, 1),
    "straight_through_gumbel_softmax": (False, True, 1),
}


def problem() -> tuple[Tensor, Tensor, Tensor]:
    """Logits ``n k``, and the cost's own parameters: ``n k`` and a scalar."""
    draw = torch.Generator().manual_seed(0)
    return (
        torch.randn(LATENTS, CATEGORIES, generator=draw),
        torch.randn(LATENTS, CATEGORIES, generator=draw),
        torch.tensor(0.7),
    )


def cost_of(weight: Tensor, scale: Tensor) -> object:
    """A cost with interactions between latents and parameters of its own, ``... n k -> ...``."""
    return lambda z: (z * weight).sum((-1, -2)).square() + scale * z[..., 0].prod(-1) + scale.square() * z[..., 1, 2]


def by_enumeration() -> tuple[float, np.ndarray, np.ndarray, float]:
    """Value and gradients for logits, weight and scale, in NumPy from the definition."""
    logits, weight, scale = (t.double().numpy() for t in problem())
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    value, d_logits, d_weight, d_scale = 0.0, np.zeros_like(logits), np.zeros_like(weight), 0.0
    for codes in itertools.product(range(CATEGORIES), repeat=LATENTS):
        z = np.eye(CATEGORIES)[list(codes)]
        probability = np.prod(p[range(LATENTS), codes])
        inner = (z * weight).sum()
        cost = inner**2 + scale * z[:, 0].prod() + scale**2 * z[1, 2]
        value += probability * cost
        d_logits += probability * cost * (z - p)  # the score of a categorical
        d_weight += probability * 2 * inner * z
        d_scale += probability * (z[:, 0].prod() + 2 * scale * z[1, 2])
    return value, d_logits, d_weight, d_scale


def estimate(name: str, draws: int, **options: object) -> tuple[Tensor, ...]:
    """Per draw: value ``d`` and gradients for logits ``d n k``, weight ``d n k``, scale ``d``."""
    logits, weight, scale = (t.expand(draws, *t.shape).clone().requires_grad_() for t in problem())
    layer = RelaxedCategorical(name, 1.0, options)
    torch.manual_seed(1)

    def cost(z: Tensor) -> Tensor:
        return cost_of(weight, scale)(z)  # type: ignore[operator]

    # One row per draw: gradients of the sum are the gradients of every draw.
    value = layer.expectation(logits, cost)
    gradients = torch.autograd.grad(value.sum(), [logits, weight, scale])
    return value.detach(), *gradients


def z_scores(draws: Tensor, exact: object) -> Tensor:
    draws, target = draws.double(), torch.as_tensor(exact, dtype=torch.float64)
    error = draws.std(0) / len(draws) ** 0.5
    return (draws.mean(0) - target) / error.clamp(min=1e-7 * target.abs().max())


def test_the_facts_of_every_estimator() -> None:
    assert {
        name: (ESTIMATORS[name].unbiased, ESTIMATORS[name].pathwise, ESTIMATORS[name].minimum_samples)
        for name in ESTIMATORS.names()
    } == FACTS


def test_exact_is_the_enumeration() -> None:
    logits, weight, scale = (t.double().requires_grad_() for t in problem())
    value = RelaxedCategorical("exact").expectation(logits[None], cost_of(weight, scale))  # type: ignore[arg-type]
    gradients = torch.autograd.grad(value.sum(), [logits, weight, scale])
    for got, expected in zip([value.detach().squeeze(0), *gradients], by_enumeration(), strict=True):
        assert torch.allclose(got, torch.as_tensor(expected, dtype=torch.float64), atol=1e-10)


def test_configurations_are_the_product() -> None:
    expected = list(itertools.product(range(3), repeat=4))
    assert [tuple(row) for row in configurations(4, 3).tolist()] == expected


def test_exact_ignores_the_cost_of_masked_configurations() -> None:
    logits = torch.zeros(1, 2, 3).requires_grad_()
    weight = torch.tensor([1.0, 2.0, torch.inf])
    mask = torch.tensor([True, True, False])
    layer = RelaxedCategorical("exact")

    def cost(z: Tensor) -> Tensor:
        return torch.where(z > 0, weight, 0.0).sum((-1, -2))

    value = layer.expectation(logits, cost, mask=mask)
    value.sum().backward()
    assert value.item() == pytest.approx(3.0)
    assert logits.grad is not None and logits.grad.isfinite().all()


@pytest.mark.parametrize("name", sorted(set(UNBIASED) - {"exact"}))
def test_unbiased_estimators_are_unbiased(name: str) -> None:
    for draws, exact in zip(estimate(name, DRAWS), by_enumeration(), strict=True):
        assert z_scores(draws, exact).abs().max() < 4


@pytest.mark.parametrize("name", PATHWISE)
def test_biased_estimators_are_biased_yet_point_the_right_way(name: str) -> None:
    """Else the test above has no power; and a sign error would turn the cosine."""
    gradient = estimate(name, DRAWS)[1]
    exact = torch.as_tensor(by_enumeration()[1])
    assert z_scores(gradient, exact).abs().max() > 6
    assert torch.cosine_similarity(gradient.double().mean(0).flatten(), exact.flatten(), dim=0) > 0.7


@pytest.mark.parametrize("name", ["straight_through", "straight_through_gumbel_softmax"])
def test_straight_through_values_and_cost_gradients_are_unbiased(name: str) -> None:
    """Their samples are exact, so everything but the gradient for the logits is right."""
    value, _, d_weight, d_scale = estimate(name, DRAWS)
    exact_value, _, exact_weight, exact_scale = by_enumeration()
    for draws, exact in ((value, exact_value), (d_weight, exact_weight), (d_scale, exact_scale)):
        assert z_scores(draws, exact).abs().max() < 4


def test_gumbel_softmax_bias_vanishes_with_the_temperature() -> None:
    exact = torch.as_tensor(by_enumeration()[1])
    errors = []
    for temperature in (2.0, 0.5, 0.1):
        logits, weight, scale = problem()
        rows = logits.expand(DRAWS, -1, -1).clone().requires_grad_()
        torch.manual_seed(2)
        value = RelaxedCategorical("gumbel_softmax", temperature).expectation(rows, cost_of(weight, scale))  # type: ignore[arg-type]
        (gradient,) = torch.autograd.grad(value.sum(), rows)
        errors.append((gradient.double().mean(0) - exact).norm().item())
    assert errors[0] > 2 * errors[1] and errors[1] > 2 * errors[2]


def test_straight_through_is_the_gradient_of_the_softmax() -> None:
    """Bengio et al.: for a linear cost, backward is exactly the gradient through softmax(logits / temperature)."""
    logits, weight, _ = problem()
    logits.requires_grad_()
    RelaxedCategorical("straight_through", 1.3)(logits).mul(weight).sum().backward()
    (expected,) = torch.autograd.grad(((logits / 1.3).softmax(-1) * weight).sum(), logits)
    assert logits.grad is not None and torch.allclose(logits.grad, expected, atol=1e-6)


def test_straight_through_gumbel_softmax_has_the_gradient_of_the_relaxed_sample() -> None:
    logits, weight, _ = problem()
    noise = gumbel_noise(logits.shape)
    gradients = []
    for name in ("gumbel_softmax", "straight_through_gumbel_softmax"):
        leaf = logits.clone().requires_grad_()
        RelaxedCategorical(name, 0.6)(leaf, noise=noise).mul(weight).sum().backward()
        gradients.append(leaf.grad)
    assert torch.equal(gradients[0], gradients[1])


def test_reinforce_is_its_formula() -> None:
    """Kool et al. 2019, eq. 8, sample by sample in a loop."""
    samples = 3
    logits, weight, scale = problem()
    leaf = logits.clone().requires_grad_()
    noise = gumbel_noise((samples, 1, LATENTS, CATEGORIES))
    layer = RelaxedCategorical("reinforce", estimator_options={"samples": samples})
    cost = cost_of(weight, scale)
    value = layer.expectation(leaf[None], cost, noise=noise)  # type: ignore[arg-type]
    value.sum().backward()
    one_hots = [torch.nn.functional.one_hot((logits + g[0]).argmax(-1), CATEGORIES).float() for g in noise]
    costs = [cost(z).item() for z in one_hots]  # type: ignore[operator]
    expected = torch.zeros_like(logits)
    for s in range(samples):
        baseline = sum(costs[:s] + costs[s + 1 :]) / (samples - 1)
        expected += (costs[s] - baseline) * (one_hots[s] - logits.softmax(-1)) / samples
    assert value.item() == pytest.approx(sum(costs) / samples, rel=1e-5)
    assert leaf.grad is not None and torch.allclose(leaf.grad, expected, atol=1e-5)


@pytest.mark.parametrize("name", ESTIMATORS.names())
def test_stacked_layers_nest(name: str) -> None:
    """The cost of the first layer contains the expectation of the second; every parameter gets a gradient."""
    first = torch.randn(5, 2, 3, requires_grad=True)
    weight = torch.randn(6, 6, requires_grad=True)
    outer, inner = RelaxedCategorical(name), RelaxedCategorical(name)

    def cost(z1: Tensor) -> Tensor:
        second = (z1.flatten(-2) @ weight).unflatten(-1, (2, 3))
        return inner.expectation(second, lambda z2: (z2 * z1).sum((-1, -2)).square())

    value = outer.expectation(first, cost)
    assert value.shape == (5,)
    value.sum().backward()
    for parameter in (first, weight):
        assert parameter.grad is not None and parameter.grad.isfinite().all() and parameter.grad.abs().sum() > 0


@pytest.mark.parametrize("name", ESTIMATORS.names())
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_logits(name: str, dtype: torch.dtype) -> None:
    logits = torch.randn(64, 2, 3).to(dtype).requires_grad_()
    value = RelaxedCategorical(name).expectation(logits, lambda z: z[..., 0].float().sum(-1))
    value.sum().backward()
    assert value.isfinite().all()
    assert logits.grad is not None and logits.grad.dtype == dtype and logits.grad.isfinite().all()


@pytest.mark.parametrize("name", ESTIMATORS.names())
def test_masked_logits_get_no_gradient(name: str) -> None:
    mask = torch.tensor([True, False, True])
    logits = torch.randn(64, 2, 3).requires_grad_()
    value = RelaxedCategorical(name).expectation(logits, lambda z: (z * z.new_tensor([1, 9, 4])).sum((-1, -2)), mask=mask)
    value.square().sum().backward()
    assert (value <= 8).all()
    assert logits.grad is not None and logits.grad.isfinite().all() and (logits.grad[..., 1] == 0).all()


def test_noise_source_checks_the_shape() -> None:
    with pytest.raises(ValueError, match="noise must have shape"):
        NoiseSource(noise=torch.zeros(3)).gumbel(torch.zeros(4))
