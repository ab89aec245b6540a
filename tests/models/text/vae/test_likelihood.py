"""Likelihoods and bounds of a text VAE against enumeration of all codes and all sentences."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from gumbelzoo.models.relaxed.estimators.exact import configurations
from gumbelzoo.models.text.generators import GENERATORS
from gumbelzoo.models.text.text_vae import TextVAE
from gumbelzoo.models.text.vae import PRIORS
from gumbelzoo.models.text.vae.figures import mutual_information, spread
from torch import Tensor

Make = Callable[..., TextVAE]
Batch = dict[str, Tensor]
CODES = configurations(2, 3)  # all nine
priors = pytest.mark.parametrize("prior", PRIORS.names())


def joint(model: TextVAE, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """log p(x, z), log q(z | x), and KL(q || p) of each sentence, of all codes ``9 b``, one code at a time."""
    posterior = model.posterior(batch).log_softmax(-1)
    log_p, log_q = [], []
    for code in CODES:
        z = model.latent.embed(code).expand(len(posterior), -1)
        log_p.append(model.latent.prior.log_prob(z.unflatten(-1, (2, 3))) - model.nll(batch, z))
        log_q.append(sum(posterior[:, latent, value] for latent, value in enumerate(code)))
    found, q = torch.stack(log_p), torch.stack(log_q)
    prior = torch.stack([model.latent.prior.log_prob(model.latent.embed(code).unflatten(-1, (2, 3))) for code in CODES])
    return found, q, (q.exp() * (q - prior[:, None])).sum(0)


def trained_prior(model: TextVAE) -> TextVAE:
    """The model with a prior that is not uniform."""
    with torch.no_grad():
        for weight in model.latent.prior.parameters():
            weight.add_(torch.randn_like(weight))
    return model


@pytest.mark.parametrize("network", GENERATORS.names())
def test_sentences_sum_to_one(network: str, make: Make, sentences: Batch) -> None:
    """For every code p(x | z) is a distribution, and it is that of the generator's own steps."""
    model = make(generator={"name": network, "width": 4}).eval()
    z = model.latent.embed(CODES)[:, None].expand(-1, len(sentences["tokens"]), -1)  # 9 b w
    nll = model.nll(sentences, z)
    torch.testing.assert_close((-nll).exp().sum(1), torch.ones(9))
    drawn = model.generator.sample(3000, label=z[4, 0].expand(3000, -1))
    shares = (drawn[:, None] == sentences["tokens"]).all(-1).float().mean(0)
    expected = (-nll[4]).exp()
    assert ((shares - expected).abs() < 4.5 * (expected * (1 - expected) / 3000).sqrt() + 1e-6).all()


@priors
def test_bounds_are_in_order(prior: str, make: Make, sentences: Batch) -> None:
    """ELBO >= importance-weighted bound >= -log p(x); the KL is in all of them, and is the sum over latents."""
    model = trained_prior(make({"prior": prior})).eval().requires_grad_(False)
    log_p, log_q, kl = joint(model, sentences)
    nll = -log_p.logsumexp(0)
    elbo = (log_q.exp() * (log_q - log_p)).sum(0)
    assert (elbo > nll).all() and (kl > 0).all()
    copies = {name: value.repeat(100, *[1] * (value.ndim - 1)) for name, value in sentences.items()}
    draws = model.importance_weighted_bound(copies, samples=5).view(100, -1)
    many = model.importance_weighted_bound(sentences, samples=4000)
    error = draws.std(0) / len(draws) ** 0.5
    assert (draws.mean(0) < elbo + 4.5 * error).all() and (draws.mean(0) > nll - 4.5 * error).all()
    assert float(draws.mean()) < float(elbo.mean()) - 3 * float(error.mean())
    torch.testing.assert_close(many, nll, atol=0.15, rtol=0)
    torch.testing.assert_close((-nll).exp().sum(), torch.tensor(1.0))  # all sentences


@priors
def test_loss_equals_numpy(prior: str, make: Make, sentences: Batch) -> None:
    """The ELBO of ``exact`` in NumPy: the KL is there, summed over latents, with its weight and free bits."""
    for weight, free_bits in ((1.0, 0.0), (0.5, 0.0), (1.0, 100.0)):
        matching = {"name": "kl", "weight": weight, "free_bits": free_bits}
        model = trained_prior(make({"prior": prior, "estimator": "exact"}, matching=matching))
        metrics = {name: value.detach() for name, value in model.training_metrics(sentences).items()}
        log_p, log_q, kl = (value.detach().numpy().astype(np.float64) for value in joint(model, sentences))
        prior_log = log_p - joint_nll(model, sentences)
        reconstruction = (np.exp(log_q) * (prior_log - log_p)).sum(0).mean()
        expected = reconstruction + weight * max(kl.mean(), free_bits)
        # With free bits of 100 no KL is paid; what is paid is exact but for an autoregressive prior's estimate of it.
        assert float(metrics["loss"]) == pytest.approx(expected, rel=1e-4)
        if prior != "autoregressive":
            assert float(metrics["kl"]) == pytest.approx(kl.mean(), rel=1e-4)
            assert float(metrics["elbo"]) == pytest.approx(reconstruction + kl.mean(), rel=1e-4)


def joint_nll(model: TextVAE, batch: Batch) -> np.ndarray:
    """log p(x | z) of all codes, ``9 b``."""
    z = model.latent.embed(CODES)[:, None].expand(-1, len(batch["tokens"]), -1)
    return -model.nll(batch, z).detach().numpy().astype(np.float64)


@pytest.mark.parametrize("prior", [*PRIORS.names(), "gaussian"])
def test_logged_elbo_has_the_kl(prior: str, make: Make, sentences: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    """Validation and test log the KL, summed over latents, and -log p(x | z) of whole sentences, and add them."""
    model = make({"name": "gaussian", "latents": 2}) if prior == "gaussian" else trained_prior(make({"prior": prior}))
    copies = {name: value.repeat(300, *[1] * (value.ndim - 1)) for name, value in sentences.items()}
    logged: dict[str, Tensor] = {}
    monkeypatch.setattr(model, "log_dict", lambda values, **_: logged.update(values))
    with torch.no_grad():
        model.eval().validation_step(copies, 0)
        posterior = model.posterior(sentences)
        if prior == "gaussian":
            mean, log_scale = posterior.double().unbind(1)
            kl = (0.5 * (mean.square() + (2 * log_scale).exp() - 1) - log_scale).sum(-1).mean()
            z, _ = model.latent.draw(posterior, 4000)
            reconstruction = model.nll(sentences, z).mean()
        else:
            log_p, log_q, rates = joint(model, sentences)
            kl, reconstruction = rates.mean(), (log_q.exp() * (log_q - log_p)).sum(0).mean() - rates.mean()
    expected = {"kl": kl, "reconstruction": reconstruction, "elbo": kl + reconstruction}
    found = {name.removeprefix("val/"): float(value) for name, value in logged.items()}
    assert found == pytest.approx({name: float(value) for name, value in expected.items()}, rel=0.02)


def test_kl_warmup_and_free_bits(make: Make, sentences: Batch) -> None:
    """The weight grows with optimizer steps; below the free bits the encoder gets no gradient of the KL."""
    model = make({"estimator": "exact"}, matching={"name": "kl", "warmup": 4, "free_bits": 0.0})
    posterior, cost = model.posterior(sentences), lambda z: z.new_zeros(z.shape[:-1]) + 0 * z.sum(-1)
    kl = float(model.latent.kl(posterior).detach().sum(-1).mean())
    for step, share in ((0, 0.0), (1, 0.25), (4, 1.0), (9, 1.0)):
        loss = model.matching.metrics(model.latent, posterior, cost, step)["loss"]
        assert float(loss.detach()) == pytest.approx(share * kl)
    for free_bits, paid in ((kl - 0.01, True), (kl + 0.01, False)):
        model = make({"estimator": "exact"}, matching={"name": "kl", "free_bits": free_bits})
        model.matching.metrics(model.latent, model.posterior(sentences), cost, 0)["loss"].backward()
        assert bool(model.encoder.head.bias.grad.abs().sum() > 1e-6) == paid


def test_copies_and_padding_change_nothing(make: Make, sentences: Batch) -> None:
    """Rows do not depend on each other, on the width of the batch, or on draws beside them."""
    model = make().eval()
    z = torch.randn(4, len(sentences["tokens"]), 6)
    whole = model.nll(sentences, z)
    wide = {**sentences, "tokens": torch.nn.functional.pad(sentences["tokens"], (0, 5))}
    torch.testing.assert_close(model.nll(wide, z), whole)
    torch.testing.assert_close(model.posterior(wide), model.posterior(sentences))
    for row in (0, 5):
        one = {name: value[row : row + 1] for name, value in sentences.items()}
        torch.testing.assert_close(model.nll(one, z[2, row : row + 1]), whole[2, row : row + 1])
        torch.testing.assert_close(model.posterior(one), model.posterior(sentences)[row : row + 1])


def test_word_dropout(make: Make, sentences: Batch) -> None:
    """It is drawn in training only, withholds tokens and not targets, and all draws of z see the same words."""
    model = make(word_dropout=0.5)
    batch = {name: value.repeat(50, *[1] * (value.ndim - 1)) for name, value in sentences.items()}
    z = torch.zeros(2, len(batch["tokens"]), 6)
    dropped = model.nll(batch, z, 0.5)
    assert torch.equal(dropped[0], dropped[1])
    plain = model.nll(batch, z)[0]
    short = batch["length"] == 1  # nothing before the only target
    torch.testing.assert_close(dropped[0][short], plain[short])
    assert not torch.allclose(dropped[0][~short], plain[~short])
    torch.testing.assert_close(model.nll(batch, z), model.nll(batch, z))


# -- mutual information -----------------------------------------------------------------------------------------------


def test_mutual_information_of_known_posteriors() -> None:
    """log N for posteriors that do not overlap, 0 for equal ones, and between them the enumerated value."""
    assert float(mutual_information(torch.eye(4).log())) == pytest.approx(math.log(4))
    assert float(mutual_information(torch.zeros(5, 5))) == pytest.approx(0.0, abs=1e-12)
    generator = torch.Generator().manual_seed(0)
    q = (2 * torch.randn(4, 3, generator=generator)).softmax(-1).double()  # of four sentences, over three codes
    mixture = q.mean(0)
    truth = float((q * (q / mixture).log()).sum() / 4)
    draws = torch.multinomial(q, 20_000, replacement=True, generator=generator)  # j s
    found = [float(mutual_information(q.log().T[draws[:, s]])) for s in range(2000)]
    assert np.mean(found) == pytest.approx(truth, abs=4.5 * np.std(found) / 2000**0.5)


def test_mutual_information_is_never_negative(make: Make, sentences: Batch) -> None:
    """A difference of two estimates is, for posteriors near the prior; with an exact share of each draw it cannot."""
    for latent in ({}, {"name": "gaussian", "latents": 2}):
        model = make(latent).eval()
        with torch.no_grad():
            model.encoder.head.weight.mul_(0.01)
            posterior = model.posterior(sentences)
            for _ in range(50):
                z, _ = model.latent.draw(posterior, 1)
                found = float(mutual_information(model.latent.pairwise_log_prob(posterior, z[0])))
                assert 0 <= found < 0.5


def test_pairwise_log_prob(make: Make, sentences: Batch) -> None:
    """It is log q of each draw under each posterior; on the diagonal that of ``draw``'s ratio."""
    for latent in ({"prior": "learned"}, {"name": "gaussian", "latents": 2}):
        model = make(latent).eval()
        posterior = model.posterior(sentences)
        z, ratio = model.latent.draw(posterior, 3)
        for draw, own in zip(z, ratio, strict=True):
            pairs = model.latent.pairwise_log_prob(posterior, draw)
            if latent.get("name") == "gaussian":
                prior = -0.5 * (draw.square() + math.log(2 * math.pi)).sum(-1)
            else:
                prior = model.latent.prior.log_prob(draw.unflatten(-1, (2, 3)))
            torch.testing.assert_close(prior - pairs.diagonal(), own)


def test_spread_rows_are_fixed() -> None:
    assert spread(5, 9).tolist() == [0, 1, 2, 3, 4] and spread(101, 3).tolist() == [0, 50, 100]


# -- priors -----------------------------------------------------------------------------------------------------------


@priors
def test_prior_samples_follow_log_prob(prior: str, make: Make) -> None:
    """Probabilities of all codes sum to 1, and draws have them."""
    model = trained_prior(make({"prior": prior}))
    z = model.latent.embed(CODES).unflatten(-1, (2, 3))
    probability = model.latent.prior.log_prob(z).exp()
    torch.testing.assert_close(probability.sum(), torch.tensor(1.0))
    drawn = model.latent.sample_prior(4000, torch.Generator().manual_seed(0))
    shares = (drawn[:, None] == CODES).all(-1).float().mean(0)
    assert ((shares - probability).abs() < 4.5 * (probability * (1 - probability) / 4000).sqrt() + 1e-6).all()


def test_correction_of_dependent_latents(make: Make, sentences: Batch) -> None:
    """KL to the uniform prior and the mean correction are the enumerated KL; other priors need none."""
    model = trained_prior(make({"prior": "autoregressive"}))
    _, log_q, kl = joint(model, sentences)
    correction = model.latent.correction(model.latent.embed(CODES))
    found = model.latent.kl(model.posterior(sentences)).sum(-1) + (log_q.exp() * correction[:, None]).sum(0)
    torch.testing.assert_close(found, kl)
    assert all(make({"prior": name}).latent.correction(torch.zeros(2, 6)) is None for name in ("uniform", "learned"))
