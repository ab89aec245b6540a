"""Likelihoods against plain references: each is normalised, and ``mean`` is its expectation."""

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from gumbelzoo.models.vqvae.likelihoods import LIKELIHOODS, Likelihood
from gumbelzoo.models.vqvae.likelihoods.logistic_mixture import LogisticMixture, discretised_logistic_log_prob
from torch import Tensor

LEVEL = torch.arange(256) / 255


def outputs_of(name: str, channels: int = 3, n: int = 2, scale: float = 1.0) -> tuple[Likelihood, Tensor]:
    generator = torch.Generator().manual_seed(1)
    likelihood = LIKELIHOODS.build(name, channels=channels)
    return likelihood, scale * torch.randn(n, likelihood.outputs, 2, 3, generator=generator)


def images_for(likelihood: Likelihood, channels: int = 3, n: int = 2) -> Tensor:
    levels = likelihood.levels or 256
    return torch.randint(0, levels, (n, channels, 2, 3), generator=torch.Generator().manual_seed(2)) / (levels - 1)


@pytest.mark.parametrize("name", LIKELIHOODS.names())
@pytest.mark.parametrize("channels", [1, 3])
def test_shapes_units_and_gradients(name: str, channels: int) -> None:
    likelihood, outputs = outputs_of(name, channels)
    x = images_for(likelihood, channels)
    outputs.requires_grad_()
    nll = likelihood.nll(outputs, x)
    assert nll.shape == (2,) and likelihood.mean(outputs).shape == x.shape
    assert torch.allclose(nll[1:], likelihood.nll(outputs[1:], x[1:]))  # examples do not mix
    if name != "mse":
        assert torch.allclose(likelihood.loss(outputs, x), nll / x[0].numel())
    nll.sum().backward()
    # One channel has no coefficients; with three channels every output matters.
    assert outputs.grad is not None and (outputs.grad != 0).float().mean() > 0.9


def test_gaussian_density_and_nmse_of_mse() -> None:
    x = torch.rand(4, 3, 2, 3)
    for noise in (0.1, 2.0):
        gaussian = LIKELIHOODS.build({"name": "gaussian", "noise": noise}, channels=3)
        gaussian.data_mean.fill_(0.3)
        gaussian.data_variance.fill_(0.2)
        outputs = torch.randn_like(x)
        normal = torch.distributions.Normal(0.3 + math.sqrt(0.2) * outputs, math.sqrt(0.2 * noise))
        assert torch.allclose(gaussian.nll(outputs, x), -normal.log_prob(x).sum((1, 2, 3)), rtol=1e-5)
        assert torch.allclose(gaussian.mean(outputs), normal.mean, atol=1e-6)
    mse = LIKELIHOODS.build("mse", channels=3)
    mse.data_variance.fill_(0.2)
    error = ((mse.mean(outputs) - x) ** 2).mean((1, 2, 3)) / 0.2
    assert torch.allclose(mse.loss(outputs, x), error)
    assert torch.allclose(mse.nll(outputs, x) / 18 - error, torch.tensor(0.5 * math.log(math.pi * 0.2)), atol=1e-5)


def test_learned_noise_is_the_mean_squared_error() -> None:
    gaussian = LIKELIHOODS.build("gaussian", channels=1)
    x = torch.randn(1, 1, 40, 50, generator=torch.Generator().manual_seed(0))
    optimizer = torch.optim.Adam(gaussian.parameters(), lr=0.1)
    for _ in range(200):
        optimizer.zero_grad()
        gaussian.loss(torch.zeros_like(x), x).sum().backward()
        optimizer.step()
    found = gaussian.data_variance * gaussian.log_noise.exp()
    assert found.item() == pytest.approx((x - 0.5).square().mean().item(), rel=0.01)


def test_bernoulli_log_probability() -> None:
    likelihood, outputs = outputs_of("bernoulli")
    x = images_for(likelihood)
    reference = torch.distributions.Bernoulli(logits=outputs)
    assert torch.allclose(likelihood.nll(outputs, x), -reference.log_prob(x).sum((1, 2, 3)))
    assert torch.equal(likelihood.mean(outputs), reference.mean)


def test_categorical_cross_entropy_and_mean() -> None:
    likelihood, outputs = outputs_of("categorical")
    x = images_for(likelihood)
    total = torch.zeros(2)
    for b in range(2):
        for c in range(3):
            for i in range(2):
                for j in range(3):
                    logits = outputs[b, c::3, i, j]
                    total[b] -= logits.log_softmax(0)[round(x[b, c, i, j].item() * 255)]
    assert torch.allclose(likelihood.nll(outputs, x), total, rtol=1e-5)
    one = outputs[0, 1::3, 0, 2].softmax(0)
    assert likelihood.mean(outputs)[0, 1, 0, 2].item() == pytest.approx((one * LEVEL).sum().item(), rel=1e-5)


@pytest.mark.parametrize("log_scale", [-7.0, -3.0, 0.0, 5.0])
@pytest.mark.parametrize("mean", [-1.3, -0.2, 0.999, 20.0])
def test_discretised_logistic_bins(mean: float, log_scale: float) -> None:
    """They sum to one, and each has the logistic's mass."""
    x = 2 * LEVEL - 1
    log_p = discretised_logistic_log_prob(x, torch.tensor(mean), torch.tensor(log_scale))
    assert log_p.isfinite().all()
    assert log_p.exp().sum().item() == pytest.approx(1.0, abs=1e-4)
    edges = ((x.double() + 1 / 255 - mean) / math.exp(log_scale)).sigmoid()[:-1]
    bins = torch.cat([edges, torch.ones(1).double()]) - torch.cat([torch.zeros(1).double(), edges])
    assert torch.allclose(log_p.double().exp(), bins, atol=1e-6)


def test_mixture_over_two_channels() -> None:
    """It sums to one over all values of a pixel, and its mean is the expectation."""
    torch.manual_seed(0)
    likelihood = LogisticMixture(2, components=3)
    outputs = torch.randn(1, likelihood.outputs, 1, 1)
    parts = outputs.reshape(3, 6)  # logit, 2 means, 2 log-scales, 1 coefficient
    parts[:, 1:3] *= 0.3  # away from the edges, where the cut moves the mean
    parts[:, 3:5] -= 4
    pairs = torch.cartesian_prod(LEVEL, LEVEL)[:, :, None, None]  # every value of the pixel
    p = (-likelihood.nll(outputs.expand(len(pairs), -1, -1, -1), pairs)).exp()
    assert p.sum().item() == pytest.approx(1.0, abs=1e-4)
    expected = (p[:, None] * pairs[:, :, 0, 0]).sum(0)
    assert torch.allclose(likelihood.mean(outputs)[0, :, 0, 0], expected, atol=2e-3)


def test_mixture_of_one_channel() -> None:
    """It is the weighted sum of its components."""
    likelihood, outputs = outputs_of("logistic_mixture", channels=1)
    x = images_for(likelihood, channels=1)
    parts = outputs.reshape(2, 10, 3, 2, 3)
    weights = F.softmax(parts[:, :, 0], dim=1)
    bins = discretised_logistic_log_prob(2 * x - 1, parts[:, :, 1], parts[:, :, 2]).exp()
    assert torch.allclose(likelihood.nll(outputs, x), -(weights * bins).sum(1).log().sum((1, 2)), rtol=1e-4)


@pytest.mark.parametrize(("name", "level"), [("bernoulli", 0.5), ("categorical", 0.5), ("logistic_mixture", 1.1)])
def test_pixels_between_levels_raise(name: str, level: float) -> None:
    likelihood, outputs = outputs_of(name)
    with pytest.raises(ValueError, match=r"levels in \[0, 1\]; use data"):
        likelihood.nll(outputs, torch.full((2, 3, 2, 3), level))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [("gaussian", {"noise": 0.0}, "noise must be > 0"), ("logistic_mixture", {"components": 0}, "components must be")],
)
def test_option_mistakes_name_the_fix(name: str, options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LIKELIHOODS.build({"name": name, **options}, channels=3)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
@pytest.mark.parametrize("name", LIKELIHOODS.names())
def test_other_precisions(name: str, dtype: torch.dtype, default_dtype: Callable[[torch.dtype], None]) -> None:
    """Likelihoods of 16-bit outputs and pixels are summed in float32, and those of discrete pixels see their levels."""
    likelihood, outputs = outputs_of(name)
    likelihood.to(dtype)
    x, outputs = images_for(likelihood), outputs.to(dtype)
    default_dtype(dtype)
    nll = likelihood.nll(outputs, x.to(dtype))
    assert nll.dtype in (torch.float32, torch.float64) and likelihood.loss(outputs, x.to(dtype)).dtype == nll.dtype
    assert likelihood.mean(outputs).isfinite().all()
    default_dtype(torch.float32)
    given = x if likelihood.levels else x.to(dtype).float()
    expected = likelihood.float().nll(outputs.float(), given)
    torch.testing.assert_close(nll.float(), expected, rtol=1e-5, atol=1e-5)
