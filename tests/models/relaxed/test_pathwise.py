"""Pathwise estimators against the formulas of their papers."""

import numpy as np
import pytest
import torch
from gumbelzoo.models.relaxed import RelaxedCategorical
from gumbelzoo.models.relaxed.densities import categorical_kl
from gumbelzoo.models.relaxed.estimators.conditional_noise import conditional_noise
from gumbelzoo.models.relaxed.noise import gumbel_noise
from torch import Tensor

STGS = "straight_through_gumbel_softmax"


def softmax(x: np.ndarray) -> np.ndarray:
    exponentials = np.exp(x - x.max(-1, keepdims=True))
    return exponentials / exponentials.sum(-1, keepdims=True)


def through_softmax(p: np.ndarray, grad: np.ndarray) -> np.ndarray:
    """Gradient for the logits of a softmax with value p."""
    return p * (grad - (p * grad).sum(-1, keepdims=True))


def straight_through(logits: np.ndarray, z: np.ndarray, grad: np.ndarray) -> np.ndarray:
    return through_softmax(np.broadcast_to(softmax(logits / 0.8), z.shape), grad) / 0.8


def reinmax(logits: np.ndarray, z: np.ndarray, grad: np.ndarray) -> np.ndarray:
    midpoint = (z + softmax(logits / 0.8)) / 2
    return 2 * through_softmax(midpoint, grad) - through_softmax(softmax(logits), grad) / 2


def gapped(logits: np.ndarray, z: np.ndarray, grad: np.ndarray) -> np.ndarray:
    top, chosen = logits.max(-1, keepdims=True), (z * logits).sum(-1, keepdims=True)
    moved = logits + z * (top - chosen) - (1 - z) * np.maximum(logits + 1.0 - top, 0.0)
    return through_softmax(softmax(moved / 0.8), grad) / 0.8


@pytest.mark.parametrize(
    ("name", "formula"),
    [("straight_through", straight_through), ("reinmax", reinmax), ("gapped_straight_through", gapped)],
)
def test_mean_gradient_equals_the_formula(name: str, formula: object, problem: object, z_scores: object) -> None:
    """Given the sample these three have no noise, so their bias can be enumerated too."""
    per_configuration = formula(problem.arrays[0], problem.one_hots, problem.cost_gradients)
    expected = (problem.probabilities[:, None, None] * per_configuration).sum(0)
    assert z_scores(problem.estimate(name, 60_000, temperature=0.8)[1], expected).abs().max() < 4


def gradient(name: str, logits: Tensor, noise: Tensor, temperature: float = 0.6, **options: object) -> Tensor:
    leaf = logits.clone().requires_grad_()
    weight = torch.linspace(-1, 2, logits.shape[-1])
    (RelaxedCategorical({"name": name, **options}, temperature)(leaf, noise=noise) * weight).sum().backward()
    assert leaf.grad is not None
    return leaf.grad


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("gumbel_softmax", {}),
        ("gumbel_rao", {"inner_samples": 1}),
        ("decoupled_straight_through_gumbel_softmax", {"forward_temperature": 1.0}),
    ],
)
def test_equals_straight_through_gumbel_softmax(name: str, options: dict) -> None:
    """The same gradient from the same noise, for a linear cost: its gradient is the same everywhere."""
    logits = torch.randn(50, 3, 4)
    noise = gumbel_noise(logits.shape)
    assert torch.allclose(gradient(name, logits, noise, **options), gradient(STGS, logits, noise), atol=1e-6)
    if name != "gumbel_softmax":
        same = RelaxedCategorical({"name": name, **options}, 0.6)(logits, noise=noise)
        assert torch.equal(same, RelaxedCategorical(STGS, 0.6)(logits, noise=noise))


def test_gumbel_rao_averages_the_gradient() -> None:
    """The mean stays the same and the variance falls."""
    torch.manual_seed(0)
    logits = torch.randn(2, 4).expand(30_000, 2, 4)
    rao = gradient("gumbel_rao", logits, gumbel_noise((20, 30_000, 2, 4)), inner_samples=20)
    plain = gradient(STGS, logits, gumbel_noise(logits.shape))
    error = ((rao.var(0) + plain.var(0)) / len(rao)).sqrt()
    assert ((rao.mean(0) - plain.mean(0)).abs() < 4 * error).all()
    assert (rao.var(0) < 0.7 * plain.var(0)).all()


def test_conditional_noise_distribution() -> None:
    """It is that of rejection sampling."""
    torch.manual_seed(0)
    logits = torch.tensor([0.5, -1.0, 1.0])
    noise = gumbel_noise((400_000, 3))
    accepted = noise[(logits + noise).argmax(-1) == 1]
    codes = torch.ones(len(accepted), dtype=torch.int64)
    drawn = conditional_noise(logits.expand(len(accepted), 3), codes, gumbel_noise(accepted.shape))
    assert ((logits + drawn).argmax(-1) == 1).all()
    quantiles = torch.linspace(0.02, 0.98, 25)
    for category in range(3):
        below = (drawn[:, category, None] < accepted[:, category].quantile(quantiles)).float().mean(0)
        assert (below - quantiles).abs().max() < 2.5 / len(accepted) ** 0.5  # two samples; KS at 1e-5


def test_conditional_noise_is_finite() -> None:
    """For extreme and for masked logits."""
    logits = torch.tensor([[200.0, -200.0, 0.0], [-torch.inf, 0.0, -300.0]]).expand(1000, 2, 3)
    codes = torch.tensor([1, 2]).expand(1000, 2)
    noise = conditional_noise(logits, codes, gumbel_noise(logits.shape))
    assert noise.isfinite().all()
    perturbed = logits + noise
    chosen = perturbed.gather(-1, codes[..., None]).squeeze(-1)
    assert (chosen > perturbed.amax(-1) - 1e-3).all()  # the largest, up to rounding at the size of the logits


def test_decoupled_forward_distribution() -> None:
    torch.manual_seed(0)
    logits = torch.tensor([1.0, 0.0, -1.0])
    spec = {"name": "decoupled_straight_through_gumbel_softmax", "forward_temperature": 0.5}
    layer = RelaxedCategorical(spec)
    frequencies = layer(logits.expand(40_000, 3)).mean(0)
    assert torch.allclose(frequencies, (logits / 0.5).softmax(-1), atol=0.01)


def test_reinmax_is_unbiased_for_quadratic_costs(z_scores: object) -> None:
    """In one latent, at temperature 1; straight-through is biased there."""
    torch.manual_seed(0)
    logits, weight = torch.randn(1, 4), torch.randn(1, 4)

    def gradients(name: str, draws: int) -> Tensor:
        rows = logits.expand(draws, 1, 4).clone().requires_grad_()
        value = RelaxedCategorical(name).expectation(rows, lambda z: (z * weight).sum((-1, -2)).square())
        return torch.autograd.grad(value.sum(), rows)[0]

    exact = gradients("exact", 1)[0]
    assert z_scores(gradients("reinmax", 100_000), exact).abs().max() < 4
    assert z_scores(gradients("straight_through", 100_000), exact).abs().max() > 6


def test_gumbel_softmax_bias_vanishes(small_problem: object) -> None:
    """As the temperature falls."""
    exact = torch.as_tensor(small_problem.exact[1])
    errors = [
        (small_problem.estimate("gumbel_softmax", 200_000, temperature)[1].double().mean(0) - exact).norm()
        for temperature in (2.0, 0.5, 0.1)
    ]
    assert errors[0] > 2 * errors[1] > 4 * errors[2]


def test_annealed_straight_through() -> None:
    """It is straight-through at the temperature of each step."""
    schedule = {"name": "exponential", "initial": 2.0, "minimum": 0.5, "rate": 0.1}
    layer = RelaxedCategorical("straight_through", schedule)
    logits, noise = torch.randn(9, 3, 4), gumbel_noise((9, 3, 4))
    weight = torch.linspace(-1, 2, 4)
    for step in range(30):
        leaf = logits.clone().requires_grad_()
        (layer(leaf, noise=noise) * weight).sum().backward()
        temperature = max(0.5, 2.0 * np.exp(-0.1 * step))
        assert torch.allclose(leaf.grad, gradient("straight_through", logits, noise, temperature), atol=1e-5)
        layer.advance()


@pytest.mark.parametrize("k", [2, 4, 10])
def test_concrete_kl_at_equal_temperatures(k: int) -> None:
    """Near a uniform prior it is k^2 / (k + 1) times the categorical KL: the ratio of the Fisher informations."""
    torch.manual_seed(0)
    logits = (0.2 * torch.linspace(-1, 1, k)).expand(400_000, k)
    discrete = categorical_kl(logits[0], torch.zeros(k)).item()
    for temperature in (0.5, 2.0):
        layer = RelaxedCategorical({"name": "concrete", "prior_temperature": temperature}, temperature)
        ratio = layer.kl(logits).mean().item() / discrete
        assert ratio == pytest.approx(k**2 / (k + 1), rel=0.1)


def test_concrete_kl_with_masks() -> None:
    """It is the KL of the kept categories."""
    layer = RelaxedCategorical({"name": "concrete", "prior_temperature": 0.5}, 0.7)
    logits, prior, noise = torch.randn(3, 50, 4).double()
    kept = [0, 1, 3]
    masked = logits.index_fill(-1, torch.tensor([2]), -torch.inf)
    among = layer.kl(logits[:, kept], prior[:, kept], noise=noise[:, kept])
    mass = prior.softmax(-1)[:, kept].sum(-1)  # what the prior gives to the kept ones
    assert torch.allclose(layer.kl(masked, prior, noise=noise), among - mass.log())
    uniform = layer.kl(logits[:, kept], noise=noise[:, kept])
    assert torch.allclose(layer.kl(masked, noise=noise), uniform + np.log(4 / 3))
    prior[0, 0] = prior[1, 2] = -torch.inf  # q has the first of them, not the second
    got = layer.kl(masked, prior, noise=noise)
    assert got[0] == torch.inf
    assert torch.allclose(got[1], among[1])


def test_concrete_kl_equals_torch() -> None:
    """In training mode it is between torch's Concrete densities; in eval mode it is analytic."""
    torch.manual_seed(0)
    logits, prior = torch.randn(2, 3).double(), torch.randn(2, 3).double()
    layer = RelaxedCategorical({"name": "concrete", "prior_temperature": 0.5}, 0.7)
    rows = logits.expand(100_000, 2, 3)
    got = layer.kl(rows, prior)
    concrete = torch.distributions.RelaxedOneHotCategorical
    posterior = concrete(torch.tensor(0.7).double(), logits=logits)
    y = posterior.sample((100_000,))
    expected = posterior.log_prob(y) - concrete(torch.tensor(0.5).double(), logits=prior).log_prob(y)
    error = ((got.var(0) + expected.var(0)) / len(got)).sqrt()
    assert ((got.mean(0) - expected.mean(0)).abs() < 4 * error).all()
    analytic = RelaxedCategorical("gumbel_softmax").kl(logits, prior)
    assert torch.allclose(layer.eval().kl(logits, prior), analytic)
    p, q = torch.distributions.Categorical(logits=prior), torch.distributions.Categorical(logits=logits)
    assert torch.allclose(analytic, torch.distributions.kl_divergence(q, p))
