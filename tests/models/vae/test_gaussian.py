"""Gaussian VAE: bounds against numerical integration over its one latent."""

import math

import pytest
import torch
from gumbelzoo.models import GaussianVAE
from torch import Tensor
from torch.distributions import Bernoulli, Normal


def small(latents: int = 1) -> GaussianVAE:
    torch.manual_seed(0)
    encoder, decoder = {"name": "mlp", "hidden": (16, 8)}, {"name": "mlp", "hidden": (8, 16)}
    model = GaussianVAE(image_shape=(1, 4, 4), latents=latents, encoder=encoder, decoder=decoder)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model


def image() -> Tensor:
    return torch.rand(1, 1, 4, 4, generator=torch.Generator().manual_seed(1)).round()


@torch.no_grad()
def test_elbo_and_bound_equal_integrals() -> None:
    model, x = small().eval(), image()
    z = torch.linspace(-8, 8, 4001)[:, None]
    log_likelihood = Bernoulli(model.decode(z)).log_prob(x).sum((-1, -2, -3))
    log_prior = Normal(0.0, 1.0).log_prob(z[:, 0])
    mean, log_scale = model.posterior(x)[0]
    log_q = Normal(mean, log_scale.exp()).log_prob(z[:, 0])
    width = (z[1] - z[0]).item()
    nll = -(log_likelihood + log_prior).logsumexp(0).item() - math.log(width)
    elbo = (log_q.exp() * (log_q - log_likelihood - log_prior)).sum().item() * width

    torch.manual_seed(3)
    many = x.expand(20_000, -1, -1, -1)
    reconstruction, kl = model.elbo_terms(many, model.posterior(many))
    single = model.importance_weighted_bound(many, samples=1)
    for draws in (reconstruction + kl, single):
        assert draws.mean().item() == pytest.approx(elbo, abs=4 * draws.std().item() / len(draws) ** 0.5)
    assert model.importance_weighted_bound(x.expand(20, -1, -1, -1), samples=2000).mean().item() == pytest.approx(
        nll, abs=0.01
    )
    assert elbo > nll + 0.05


def test_every_parameter_gets_gradient() -> None:
    model = small(latents=3)
    model.training_metrics({"image": image().expand(8, -1, -1, -1)})["loss"].backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all() and parameter.grad.any(), name


def test_encode_decode_and_sample() -> None:
    model, x = small(latents=3), image().expand(5, -1, -1, -1)
    assert model.encode(x).shape == (5, 3)
    assert torch.equal(model.reconstruct(x), model.decode(model.encode(x)))
    generators = [torch.Generator().manual_seed(0) for _ in range(2)]
    first, second = (model.sample(7, generator=generator) for generator in generators)
    assert first.shape == (7, 1, 4, 4) and torch.equal(first, second)
    with pytest.raises(ValueError, match="latents"):
        GaussianVAE(latents=0)
