"""Gradients of text VAEs against ``exact``, which enumerates all codes, and against quadrature."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from gumbelzoo.models.relaxed import ESTIMATORS
from gumbelzoo.models.text.text_vae import TextVAE
from torch import Tensor

Make = Callable[..., TextVAE]
Batch = dict[str, Tensor]
UNBIASED: dict[str, tuple[Any, int]] = {  # estimator, draws of each sentence
    "leave_one_out": ({"name": "reinforce", "samples": 4}, 2000),
    "none": ({"name": "reinforce", "samples": 1, "baseline": "none"}, 8000),
    "moving_average": ({"name": "reinforce", "samples": 1, "baseline": "moving_average"}, 4000),
    "learned": ({"name": "reinforce", "samples": 1, "baseline": "learned"}, 4000),
    "arsm": ("arsm", 2000),
    "muprop": ("muprop", 4000),
    "rebar": ("rebar", 4000),
    "relax": ("relax", 4000),
    "unordered": ("unordered", 4000),
    "vimco": ("vimco", 4000),
}
FAST = ("leave_one_out", "unordered")
COSINE = {name: 0.9 for name in ESTIMATORS if ESTIMATORS[name].pathwise and ESTIMATORS[name].categories is None}
MATCHINGS: dict[str, Any] = {"kl": {"name": "kl", "weight": 0.7}, "adversarial": {"name": "adversarial", "hidden": 4}}


def gradient(model: TextVAE, batch: Batch) -> Tensor:
    """Gradient of the loss for parts of the encoder, of the decoder's map of z, and of its head."""
    loss = model.training_metrics(batch)["loss"]
    weights = [model.encoder.head.bias, model.encoder.embedding.weight]
    weights += [model.generator.label_embedding.weight, model.generator.head.bias]
    return torch.cat([part.flatten() for part in torch.autograd.grad(loss, weights)])


def repeated(batch: Batch, times: int) -> Batch:
    """Sentences of one call are averaged, so copies are draws."""
    return {name: value[3:6].repeat(times, *[1] * (value.ndim - 1)) for name, value in batch.items()}


@pytest.mark.parametrize("matching", MATCHINGS)
@pytest.mark.parametrize("prior", ["uniform", "learned", "autoregressive"])
def test_exact_is_the_enumerated_loss(prior: str, matching: str, make: Make, sentences: Batch) -> None:
    """Value and gradient of ``exact`` are those of a loop over codes: KL to a prior of any kind, or critic."""
    if matching == "adversarial" and prior != "uniform":
        return
    model = make({"prior": prior, "estimator": "exact"}, matching=MATCHINGS[matching])
    batch = repeated(sentences, 1)
    posterior, total = model.posterior(batch).softmax(-1), torch.zeros(())
    for row, (first, second) in itertools.product(range(3), itertools.product(range(3), repeat=2)):
        one = {name: value[row : row + 1] for name, value in batch.items()}
        z, q = model.latent.embed(torch.tensor([[first, second]])), posterior[row, 0, first] * posterior[row, 1, second]
        rate = q.log() - model.latent.prior.log_prob(z.unflatten(-1, (2, 3)))[0]
        paid = 0.7 * rate if matching == "kl" else model.matching.critic(z)[0, 0]
        total = total + q * (model.nll(one, z)[0] + paid) / 3
    metrics = model.training_metrics(batch)
    loss = metrics["loss"] - metrics.get("critic_loss", torch.zeros(()))
    torch.testing.assert_close(loss, total)
    shared = [*model.encoder.parameters(), *model.generator.parameters(), *model.latent.parameters()]
    found, expected = (torch.autograd.grad(value, shared, allow_unused=True) for value in (loss, total))
    for one, other in zip(found, expected, strict=True):
        if one is not None or other is not None:
            torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in FAST else pytest.mark.slow) for name in UNBIASED]
)
def test_gradient_is_unbiased(name: str, make: Make, sentences: Batch) -> None:
    """|z| < 4 of the mean over many draws along the exact gradient, and of each coordinate with Bonferroni's margin."""
    estimator, draws = UNBIASED[name]
    exact, model, times = make({"estimator": "exact"}), make({"estimator": estimator}), 50
    model.load_state_dict(exact.state_dict(), strict=False)  # an estimator with networks has drawn other weights
    truth = gradient(exact, repeated(sentences, 1))
    drawn = torch.stack([gradient(model, repeated(sentences, times)) for _ in range(draws // times)])
    error = drawn.std(0) / len(drawn) ** 0.5
    z = (drawn.mean(0) - truth) / error.clamp(min=1e-7)
    along = drawn @ truth / truth.norm()
    z_along = float((along.mean() - truth.norm()) / (along.std() / len(along) ** 0.5))
    print(f"{name}: z along the gradient {z_along:.2f}, largest of a coordinate {float(z.abs().max()):.2f}")
    assert abs(z_along) < 4 and float(z.abs().max()) < 7  # 40 means or more: the tails are those of t


@pytest.mark.parametrize("name", COSINE)
def test_biased_gradient_is_near(name: str, make: Make, sentences: Batch) -> None:
    """Cosine and relative bias of the mean gradient are printed; the cosine is a known one."""
    truth = gradient(make({"estimator": "exact"}), repeated(sentences, 1))
    model = make({"estimator": name, "temperature": 0.7})
    mean = torch.stack([gradient(model, repeated(sentences, 200)) for _ in range(5)]).mean(0)
    cosine = float(torch.cosine_similarity(mean, truth, dim=0))
    print(f"{name}: cosine {cosine:.3f}, relative bias {float((mean - truth).norm() / truth.norm()):.2f}")
    assert cosine > COSINE[name]


def test_gaussian_gradient_is_unbiased(make: Make, sentences: Batch) -> None:
    """|z| < 4 against Gauss-Hermite quadrature over one latent."""
    model, batch = make({"name": "gaussian", "latents": 1}), repeated(sentences, 1)
    posterior = model.posterior(batch)
    points, weights = (torch.tensor(part, dtype=torch.float32) for part in np.polynomial.hermite_e.hermegauss(40))
    z = posterior[:, 0] + posterior[:, 1].exp() * points[:, None, None]  # 40 b 1
    value = (weights[:, None] * model.nll(batch, z)).sum(0) / weights.sum() + model.latent.kl(posterior).sum(-1)
    parts = [model.encoder.head.bias, model.encoder.embedding.weight]
    parts += [model.generator.label_embedding.weight, model.generator.head.bias]
    truth = torch.cat([part.flatten() for part in torch.autograd.grad(value.mean(), parts)])
    drawn = torch.stack([gradient(model, repeated(sentences, 50)) for _ in range(60)])
    along = drawn @ truth / truth.norm()
    z_along = float((along.mean() - truth.norm()) / (along.std() / len(along) ** 0.5))
    print(f"gaussian: z along the gradient {z_along:.2f}")
    assert abs(z_along) < 4


def test_critic_and_model_do_not_mix(make: Make, sentences: Batch) -> None:
    """The critic's loss moves the critic only; the rest of the loss moves all but the critic."""
    model = make({"estimator": "exact"}, matching="adversarial")
    critic = list(model.matching.critic.parameters())
    others = [weight for weight in model.parameters() if all(weight is not own for own in critic)]
    metrics = model.training_metrics(sentences)
    alone = torch.autograd.grad(metrics["critic_loss"], [*critic, *others], allow_unused=True, retain_graph=True)
    assert all(part is not None and part.abs().sum() > 0 for part in alone[: len(critic)])
    assert all(part is None for part in alone[len(critic) :])
    rest = torch.autograd.grad(metrics["loss"] - metrics["critic_loss"], critic, allow_unused=True)
    assert all(part is None or not part.abs().sum() for part in rest)
