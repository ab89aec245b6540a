"""Densities, KL and entropy against PyTorch's distributions, integrals and Monte Carlo."""

import math

import pytest
import torch
from gumbelzoo.models.relaxed.densities import categorical_kl, concrete_log_prob, entropy, log_prob
from gumbelzoo.models.relaxed.noise import gumbel_noise
from gumbelzoo.models.relaxed.sampling import categorical_sample
from torch import Tensor
from torch.distributions import Categorical, RelaxedOneHotCategorical, kl_divergence


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=generator(seed))


def log_relaxed(logits: Tensor, temperature: float) -> Tensor:
    return ((logits + gumbel_noise(logits, generator=generator())) / temperature).log_softmax(-1)


def test_log_prob_and_entropy_equal_torch() -> None:
    logits, codes = 3 * randn(4, 3, 7), torch.randint(7, (4, 3), generator=generator())
    torch.testing.assert_close(log_prob(logits, codes), Categorical(logits=logits).log_prob(codes))
    torch.testing.assert_close(entropy(logits), Categorical(logits=logits).entropy())
    several = torch.randint(7, (5, 4, 3), generator=generator())  # codes may have leading samples
    torch.testing.assert_close(log_prob(logits, several), Categorical(logits=logits).log_prob(several))


def test_kl_equals_torch() -> None:
    logits, prior = 3 * randn(4, 3, 7), randn(3, 7, seed=1)
    p = Categorical(logits=logits)
    torch.testing.assert_close(categorical_kl(logits), kl_divergence(p, Categorical(logits=torch.zeros(4, 3, 7))))
    expected = kl_divergence(p, Categorical(logits=prior.expand(4, 3, 7)))
    torch.testing.assert_close(categorical_kl(logits, prior), expected)


@pytest.mark.parametrize("learned", [False, True])
def test_kl_equals_monte_carlo(learned: bool) -> None:
    logits, prior = 2 * randn(6), randn(6, seed=1) if learned else torch.zeros(6)
    codes = categorical_sample(logits.expand(400_000, 6), generator=generator())
    ratio = log_prob(logits, codes) - log_prob(prior, codes)
    z = (ratio.mean() - categorical_kl(logits, prior if learned else None)) / (ratio.std() / len(ratio) ** 0.5)
    assert abs(z.item()) < 4


def test_kl_is_per_row_and_never_negative() -> None:
    assert categorical_kl(randn(5, 4, 3)).shape == (5, 4)
    assert (categorical_kl(randn(1000, 5)) > -1e-6).all()
    torch.testing.assert_close(categorical_kl(torch.zeros(2, 5)), torch.zeros(2), atol=1e-6, rtol=0)


def test_masked_classes_do_not_count() -> None:
    """Their gradients are finite."""
    logits = torch.tensor([[0.3, -torch.inf, 1.0], [-torch.inf, -torch.inf, 0.5]], requires_grad=True)
    kept = torch.tensor([0.3, 1.0])
    torch.testing.assert_close(entropy(logits)[0], Categorical(logits=kept).entropy())
    torch.testing.assert_close(categorical_kl(logits)[0], math.log(3) - Categorical(logits=kept).entropy())
    torch.testing.assert_close(categorical_kl(logits)[1].item(), math.log(3))
    torch.testing.assert_close(categorical_kl(logits, logits.detach()), torch.zeros(2))
    assert categorical_kl(torch.zeros(3), logits[0].detach()) == torch.inf
    assert log_prob(logits, torch.tensor([1, 0])).tolist() == [-torch.inf, -torch.inf]
    for value in (entropy(logits), categorical_kl(logits), log_prob(logits, torch.tensor([2, 2]))):
        (gradient,) = torch.autograd.grad(value.sum(), logits)
        assert gradient.isfinite().all()
    (gradient,) = torch.autograd.grad(entropy(logits).sum(), logits)
    assert gradient[0, 0] != 0
    assert gradient[0, 1] == 0


def test_kl_to_a_prior_that_masks_is_infinite() -> None:
    """Also where p underflows to 0 at the masked class; other rows and all gradients are finite."""
    logits = torch.tensor([[0.0, -200.0], [0.0, -torch.inf], [0.0, 1.0]], requires_grad=True)
    value = categorical_kl(logits, torch.tensor([0.0, -torch.inf]))
    assert value.tolist() == [torch.inf, 0.0, torch.inf]
    (gradient,) = torch.autograd.grad(value.sum(), logits)
    assert gradient.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype: torch.dtype) -> None:
    logits = randn(50, 300).to(dtype)
    for value in (entropy(logits), categorical_kl(logits), log_prob(logits, torch.zeros(50, dtype=torch.int64))):
        assert value.dtype == torch.float32
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(categorical_kl(logits), categorical_kl(logits.float()))


@pytest.mark.parametrize("temperature", [0.3, 0.7, 2.0])
def test_concrete_density_equals_torch(temperature: float) -> None:
    logits = randn(40, 5)
    log_y = log_relaxed(logits, temperature).clamp(min=-20)
    expected = RelaxedOneHotCategorical(torch.tensor(temperature), logits=logits).log_prob(log_y.exp())
    torch.testing.assert_close(concrete_log_prob(log_y, logits, temperature), expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_concrete_density_integrates_to_one(temperature: float) -> None:
    # k = 2: over y in (0, 1), by its logit x with dy = y (1 - y) dx.
    logits, x = torch.tensor([0.4, -0.7], dtype=torch.float64), torch.linspace(-80, 80, 40_001, dtype=torch.float64)
    log_y = torch.nn.functional.logsigmoid(torch.stack([x, -x], -1))
    density = (concrete_log_prob(log_y, logits, temperature) + log_y.sum(-1)).exp()
    assert torch.trapezoid(density, x).item() == pytest.approx(1, abs=1e-6)


def test_concrete_density_at_low_temperature() -> None:
    logits = (5 * randn(1000, 20)).requires_grad_()
    log_y = log_relaxed(logits.detach(), 0.01)
    assert (log_y.exp() == 0).any()  # y itself has underflown
    value = concrete_log_prob(log_y, logits, 0.01)
    assert value.isfinite().all()
    (gradient,) = torch.autograd.grad(value.sum(), logits)
    assert gradient.isfinite().all()


def test_concrete_density_with_masks() -> None:
    """It is the density of the other classes."""
    logits = randn(4, 5)
    masked = torch.cat([logits, torch.full((4, 1), -torch.inf)], -1).requires_grad_()
    log_y = log_relaxed(logits, 0.5)
    log_y_masked = torch.cat([log_y, torch.full((4, 1), -torch.inf)], -1).requires_grad_()
    value = concrete_log_prob(log_y_masked, masked, 0.5)
    torch.testing.assert_close(value, concrete_log_prob(log_y, logits, 0.5))
    for gradient in torch.autograd.grad(value.sum(), (masked, log_y_masked)):
        assert gradient.isfinite().all()


def test_concrete_temperature_per_row() -> None:
    logits, temperature = randn(3, 2, 4), torch.tensor([0.5, 1.0, 2.0], requires_grad=True)
    log_y = log_relaxed(logits, 1.0)
    value = concrete_log_prob(log_y, logits, temperature)
    for i in range(3):
        torch.testing.assert_close(value[i], concrete_log_prob(log_y[i], logits[i], temperature[i].item()))
    (gradient,) = torch.autograd.grad(value.sum(), temperature)
    assert gradient.isfinite().all()
    assert (gradient != 0).all()
    with pytest.raises(ValueError, match="temperature must be > 0"):
        concrete_log_prob(log_y, logits, 0.0)


def test_gradients_in_double_precision() -> None:
    logits, prior = randn(2, 3).double().requires_grad_(), randn(3, seed=1).double().requires_grad_()
    log_y = log_relaxed(logits.detach(), 0.7).requires_grad_()
    temperature = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(categorical_kl, (logits, prior))
    assert torch.autograd.gradgradcheck(entropy, (logits,))
    assert torch.autograd.gradcheck(concrete_log_prob, (log_y, logits, temperature))
