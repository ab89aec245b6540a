"""REBAR and RELAX: the gradient through the conditional sample, and training of their own parameters."""

import pytest
import torch
from gumbelzoo.models.relaxed import RelaxedCategorical
from gumbelzoo.models.relaxed.noise import gumbel_noise
from torch import Tensor


def layer_of(name: str, temperature: object = 0.5) -> RelaxedCategorical:
    torch.manual_seed(5)
    return RelaxedCategorical(name, temperature, event_shape=(3, 3))


def explicit_gradient(layer: RelaxedCategorical, logits: Tensor, cost: object, noise: Tensor) -> Tensor:
    """Tucker et al. 2017, eq. 5, for one example: autograd through a conditional sample with coupled noise."""
    estimator, tau = layer.estimator, layer.current_temperature()

    def c(z: Tensor) -> Tensor:
        relaxed = (z / tau).softmax(-1)
        value = estimator.scale * cost(relaxed)
        if layer.name == "relax":
            seen = torch.cat([relaxed.flatten(), logits.softmax(-1).flatten()])
            value = value + estimator.network(seen).squeeze()
        return value

    theta = logits.clone().requires_grad_()
    log_p = theta.log_softmax(-1)
    z = log_p + noise
    codes = z.argmax(-1, keepdim=True)
    b = torch.zeros_like(z).scatter_(-1, codes, 1)
    top = z.gather(-1, codes).detach()
    # Noise v of a truncated Gumbel that reproduces z: exp(-z) = exp(-(log p + v)) + exp(-top).
    v = (-((-z).exp() - (-top).exp()).log() - log_p).detach()
    again = torch.where(b == 1, top, -torch.logaddexp(-(log_p + v), -top))
    assert torch.allclose(again, z, atol=1e-5)
    score = (b * log_p).sum()
    objective = (cost(b) - c(again)).detach() * score + c(z) - c(again)
    return torch.autograd.grad(objective, theta)[0]


@pytest.mark.parametrize("name", ["rebar", "relax"])
def test_gradient_through_conditional_sample(name: str, small_problem: object) -> None:
    logits, weight, scale = small_problem.given
    layer, cost = layer_of(name), small_problem.cost(weight, scale)
    for _ in range(20):
        noise = gumbel_noise((3, 3))
        leaf = logits[None].clone().requires_grad_()
        (got,) = torch.autograd.grad(layer.expectation(leaf, cost, noise=noise[None]).sum(), leaf)
        assert torch.allclose(got[0], explicit_gradient(layer, logits, cost, noise), atol=1e-4)


def variance_objective(layer: RelaxedCategorical, problem: object, noise: Tensor) -> Tensor:
    """log mean |g|^2 over fixed noise."""
    logits = problem.logits.to(noise.dtype).expand(len(noise), 3, 3).clone().requires_grad_()
    value = layer.expectation(logits, problem.cost(problem.weight, problem.scale), noise=noise)
    (gradient,) = torch.autograd.grad(value.sum(), logits)
    return gradient.square().sum((-1, -2)).mean().log()


@pytest.mark.parametrize("name", ["rebar", "relax"])
def test_own_parameters_descend_the_variance(name: str, small_problem: object) -> None:
    """Their gradient, that of the temperature too, is that of log E|g|^2 by finite differences."""
    layer = layer_of(name, {"name": "learned", "initial": 0.5}).double()
    noise = gumbel_noise((500, 3, 3)).double()
    rows = small_problem.logits.double().expand(500, 3, 3)
    cost = small_problem.cost(small_problem.weight, small_problem.scale)
    layer.expectation(rows, cost, noise=noise).mean().backward()
    for parameter in layer.parameters():
        index = (0,) * parameter.ndim
        values = []
        for step in (1e-5, -2e-5):
            with torch.no_grad():
                parameter[index] += step
            values.append(variance_objective(layer, small_problem, noise).item())
        with torch.no_grad():
            parameter[index] += 1e-5
        assert parameter.grad is not None
        assert parameter.grad[index].item() == pytest.approx((values[0] - values[1]) / 2e-5, rel=1e-3, abs=1e-7)


@pytest.mark.parametrize("name", ["rebar", "relax"])
def test_learning_lowers_the_variance(name: str, small_problem: object) -> None:
    layer = layer_of(name, {"name": "learned", "initial": 0.5})
    torch.nn.init.constant_(layer.estimator.scale, 3.0)  # far from the best
    optimizer = torch.optim.Adam(layer.parameters(), lr=2e-2)
    torch.manual_seed(0)
    before = variance_objective(layer, small_problem, gumbel_noise((20_000, 3, 3)))
    for _ in range(200):
        optimizer.zero_grad()
        rows = small_problem.logits.expand(100, 3, 3)
        layer.expectation(rows, small_problem.cost(small_problem.weight, small_problem.scale)).mean().backward()
        optimizer.step()
    assert variance_objective(layer, small_problem, gumbel_noise((20_000, 3, 3))) < before - 0.2


@pytest.mark.parametrize("name", ["rebar", "relax", "muprop"])
def test_relaxed_cost_trains_no_parameters(name: str) -> None:
    """The cost's parameters learn from the one-hot sample alone."""
    weight = torch.randn(3, 3, requires_grad=True)
    seen = []

    def cost(z: Tensor) -> Tensor:
        if ((z == 0) | (z == 1)).all():
            seen.append(z.detach())
        return (z * weight).sum((-1, -2))

    layer_of(name).expectation(torch.randn(7, 3, 3, requires_grad=True), cost).sum().backward()
    assert weight.grad is not None
    assert torch.allclose(weight.grad, seen[0].sum(0))


@pytest.mark.parametrize("name", ["rebar", "relax"])
def test_cost_that_jumps_biases_the_gradient(name: str, z_scores: object) -> None:
    """A threshold inside the simplex has no gradient there, so the relaxed cost's gradient misses it."""
    logits = torch.tensor([[0.5, -0.5, 0.0]] * 3)

    def gradient(layer: RelaxedCategorical, draws: int) -> Tensor:
        rows = logits.expand(draws, 3, 3).clone().requires_grad_()
        value = layer.expectation(rows, lambda z: (z[..., 0] > 0.5).float().sum(-1) + z[..., 1].sum(-1))
        return torch.autograd.grad(value.sum(), rows)[0]

    exact = gradient(RelaxedCategorical("exact"), 1)[0]
    assert z_scores(gradient(layer_of(name), 50_000), exact).abs().max() > 10


@pytest.mark.parametrize("name", ["rebar", "relax", "muprop"])
def test_expectation_under_no_grad(name: str) -> None:
    with torch.no_grad():
        value = layer_of(name).expectation(torch.randn(7, 3, 3), lambda z: z.square().sum((-1, -2)))
    assert torch.allclose(value, torch.full((7,), 3.0))


@pytest.mark.parametrize("name", ["relax", "unordered"])
def test_missing_event_shape_raises(name: str) -> None:
    with pytest.raises(ValueError, match=r"event_shape=\(latents, categories\)"):
        RelaxedCategorical(name)
    with pytest.raises(ValueError, match="was built for event_shape"):
        RelaxedCategorical(name, event_shape=(3, 3)).expectation(torch.zeros(2, 4, 3), lambda z: z[..., 0].sum(-1))
