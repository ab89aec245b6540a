"""Categorical VAE: bounds against exact enumeration, gradients, encoding and sampling."""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import lightning as L
import pytest
import torch
from gumbelzoo.data import ImageData
from gumbelzoo.models.networks.image import DECODERS, ENCODERS
from gumbelzoo.models.relaxed import ESTIMATORS
from gumbelzoo.models.vae.categorical import CategoricalVAE
from gumbelzoo.registry import Spec
from torch import Tensor, nn

SMALL = {
    "image_shape": (1, 4, 4),
    "latents": 2,
    "categories": 3,
    "encoder": {"name": "mlp", "hidden": (16, 8)},
    "decoder": {"name": "mlp", "hidden": (8, 16)},
}


def small(**arguments: object) -> CategoricalVAE:
    torch.manual_seed(0)
    model = CategoricalVAE(**{**SMALL, **arguments})  # type: ignore[arg-type]
    with torch.no_grad():  # a new model is symmetric
        model.prior_logits.normal_()
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model


def images(number: int = 6, shape: tuple[int, ...] = (1, 4, 4)) -> Tensor:
    return torch.rand(number, *shape, generator=torch.Generator().manual_seed(1)).round()


def exact_terms(model: CategoricalVAE, x: Tensor) -> tuple[Tensor, Tensor]:
    """Compute log p(x, z) and log q(z | x) for every z, ``b c`` each, from the definitions."""
    codes = torch.tensor(list(itertools.product(range(3), repeat=2)))
    q, prior = model.posterior(x).log_softmax(-1), model.prior_logits.log_softmax(-1)
    probabilities = model.decode(codes)[None]  # 1 c ...
    bernoulli = torch.distributions.Bernoulli(probabilities).log_prob(x[:, None])
    log_q = q[:, torch.arange(2), codes].sum(-1)  # b c
    log_prior = prior[torch.arange(2), codes].sum(-1)
    return bernoulli.sum((-1, -2, -3)) + log_prior, log_q


@torch.no_grad()
def test_exact_estimator_loss_is_elbo() -> None:
    model, x = small(estimator="exact"), images()
    log_joint, log_q = exact_terms(model, x)
    elbo = (log_q.exp() * (log_q - log_joint)).sum(-1).mean()
    metrics = model.training_metrics({"image": x})
    assert metrics["loss"].item() == pytest.approx(elbo.item(), rel=1e-5)
    assert metrics["elbo"].item() == pytest.approx(elbo.item(), rel=1e-5)


@torch.no_grad()
def test_bound_tightens_with_samples() -> None:
    """It is the ELBO for one sample, and tends to the likelihood."""
    model, x = small().eval(), images(1)
    log_joint, log_q = exact_terms(model, x)
    nll = -log_joint.logsumexp(-1).item()
    elbo = (log_q.exp() * (log_q - log_joint)).sum(-1).item()
    torch.manual_seed(3)
    one, many, most = (
        model.importance_weighted_bound(x.expand(20_000 // m, -1, -1, -1), samples=m) for m in (1, 10, 2000)
    )
    assert one.mean().item() == pytest.approx(elbo, abs=4 * one.std().item() / len(one) ** 0.5)
    assert elbo > many.mean().item() > nll
    assert most.mean().item() == pytest.approx(nll, abs=0.03 * abs(elbo - nll))


@torch.no_grad()
def test_bound_in_chunks_equals_bound_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = small().eval(), images(1).expand(200, -1, -1, -1)
    torch.manual_seed(0)
    at_once = model.importance_weighted_bound(x, samples=20)
    monkeypatch.setattr("gumbelzoo.models.relaxed.bounds.BOUND_ROWS", 7)
    in_chunks = model.importance_weighted_bound(x, samples=20)
    error = ((at_once.var() + in_chunks.var()) / len(x)).sqrt()
    assert (at_once.mean() - in_chunks.mean()).abs() < 4 * error


@torch.no_grad()
def test_training_bound_equals_evaluation_bound() -> None:
    x = images(1).expand(20_000, -1, -1, -1)
    model = small(estimator="vimco", training_samples=5)
    torch.manual_seed(0)
    trained = model.training_bound(x, model.posterior(x))
    evaluated = model.eval().importance_weighted_bound(x, samples=5)
    error = ((trained.var() + evaluated.var()) / len(x)).sqrt()
    assert (trained.mean() - evaluated.mean()).abs() < 4 * error


@pytest.mark.parametrize("estimator", ["vimco", "gumbel_softmax", "straight_through_gumbel_softmax", "rebar"])
def test_training_bound_gives_gradients(estimator: str) -> None:
    model = small(estimator=estimator, training_samples=3, prior="learned")
    model.training_metrics({"image": images(64)})["loss"].backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all() and parameter.grad.any(), name


@pytest.mark.parametrize("estimator", ESTIMATORS.names())
@pytest.mark.parametrize("prior", ["uniform", "learned"])
def test_every_parameter_gets_gradient(estimator: str, prior: str) -> None:
    model = small(estimator=estimator, prior=prior, categories=ESTIMATORS[estimator].categories or 3)
    model.training_metrics({"image": images(64)})["loss"].backward()
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None and parameter.grad.isfinite().all(), name
            assert parameter.grad.abs().sum() > 0, name
    assert model.prior_logits.requires_grad == (prior == "learned")


def test_reinforce_gradient_equals_exact() -> None:
    """The encoder's gradients, through the whole model, agree within their error."""
    x = images(4)

    def gradient(estimator: Spec, seed: int) -> Tensor:
        model = small(estimator=estimator)
        torch.manual_seed(seed)
        model.training_metrics({"image": x})["loss"].backward()
        return torch.cat([p.grad.flatten() for p in model.encoder.parameters()])  # type: ignore[union-attr]

    exact = gradient("exact", 0)
    draws = torch.stack([gradient({"name": "reinforce", "samples": 64}, seed) for seed in range(100)])
    error = (draws.mean(0) - exact).norm()
    assert error < 4 * (draws.std(0) / len(draws) ** 0.5).norm()
    assert error < 0.1 * exact.norm()


@pytest.mark.parametrize("network", ENCODERS.names())
def test_networks_share_image_shape(network: str) -> None:
    assert DECODERS.names() == ENCODERS.names()
    shape = (2, 8, 12)
    encoder, decoder = {"name": network, "hidden": (6, 5, 9)}, {"name": network, "hidden": (9, 5, 6)}
    if network == "grid":
        encoder, decoder = ({"name": network, "network": {"name": "conv", "widths": [4]}} for _ in range(2))
    model = CategoricalVAE(image_shape=shape, latents=3, categories=4, encoder=encoder, decoder=decoder)
    x = images(3, shape)
    assert model.reconstruct(x).shape == x.shape
    assert model.pixel_logits(torch.rand(7, 3, 3, 4)).shape == (7, 3, *shape)
    model.training_metrics({"image": x})["loss"].backward()


@pytest.mark.parametrize("part", ["encoder", "decoder"])
@pytest.mark.parametrize(("hidden", "message"), [((8, 8, 8, 8), "divisible by 8"), ((8,), "two hidden widths")])
def test_conv_image_not_halvable_raises(part: str, hidden: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CategoricalVAE(image_shape=(1, 28, 28), **{part: {"name": "conv", "hidden": hidden}})  # type: ignore[arg-type]


def test_user_encoder_trains_and_rebuilds(monkeypatch: pytest.MonkeyPatch) -> None:
    """An encoder registered outside the package is a part like ours."""
    monkeypatch.setattr(ENCODERS, "_entries", dict(ENCODERS._entries))

    @ENCODERS.register("column_means")
    class ColumnMeans(nn.Module):
        def __init__(self, image_shape: Sequence[int], features: int, scale: float = 1.0) -> None:
            super().__init__()
            self.scale, self.linear = scale, nn.Linear(image_shape[0] * image_shape[2], features)

        def forward(self, x: Tensor) -> Tensor:
            return self.linear(self.scale * x.mean(-2).flatten(1))

    model = small(encoder={"name": "column_means", "scale": 2.0})
    model.training_metrics({"image": images()})["loss"].backward()
    assert model.encoder.linear.weight.grad.abs().sum() > 0
    assert model.config()["encoder"] == {"name": "column_means", "scale": 2.0}
    again = CategoricalVAE(**model.config())
    again.load_state_dict(model.state_dict())
    assert torch.equal(again.encode(images()), model.encode(images()))
    with pytest.raises(ValueError, match="did you mean 'scale'"):
        small(encoder={"name": "column_means", "scales": 2.0})


def test_encode_and_reconstruct_have_no_noise() -> None:
    for model in (small().train(), small().eval()):
        x = images()
        codes = model.encode(x)
        assert codes.shape == (6, 2) and codes.dtype == torch.int64
        assert torch.equal(codes, model.encode(x))
        assert torch.equal(model.decode(codes), model.reconstruct(x))


def test_sample_and_latent_table() -> None:
    model = small().eval()
    drawn = model.sample(9, generator=torch.Generator().manual_seed(0))
    assert drawn.shape == (9, 1, 4, 4) and (drawn >= 0).all() and (drawn <= 1).all()
    assert torch.equal(drawn, model.sample(9, generator=torch.Generator().manual_seed(0)))
    cold = model.sample(50, temperature=1e-3)
    assert torch.equal(cold, cold[:1].expand_as(cold))
    codes = torch.tensor([2, 0])
    table = model.latent_table(codes)
    assert table.shape == (2, 3, 1, 4, 4)
    assert torch.allclose(table[0, 1], model.decode(torch.tensor([1, 0])))
    assert torch.allclose(table[1, 2], model.decode(torch.tensor([2, 2])))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32, torch.int64])
def test_decode_takes_any_integer_dtype(dtype: torch.dtype) -> None:
    model = small().eval()
    codes = torch.tensor([[2, 0], [1, 1]])
    assert torch.equal(model.decode(codes.to(dtype)), model.decode(codes))
    assert model.decode(codes[:0].to(dtype)).shape == (0, 1, 4, 4)
    for wrong in (codes + 1, codes[:, :1]):
        with pytest.raises(ValueError, match=r"shape \(\.\.\., 2\) with whole values in \[0, 3\)"):
            model.decode(wrong)
    with pytest.raises(ValueError, match="codes must be whole numbers"):
        model.decode(codes.float())


def test_initialised_samples_have_mean_image() -> None:
    model = CategoricalVAE(**SMALL)  # type: ignore[arg-type]
    mean = torch.rand(1, 4, 4) * 0.8 + 0.1
    model.initialise(mean)
    assert torch.allclose(model.sample(500).mean(0), mean, atol=0.1)


def test_kl_warm_up_follows_step() -> None:
    model, x = small(beta_warmup=10, estimator="exact"), images()
    for step, beta in ((0, 0.0), (5, 0.5), (10, 1.0), (50, 1.0)):
        model.relaxed.step.fill_(step)
        metrics = model.training_metrics({"image": x})
        expected = metrics["elbo"] - (1 - beta) * metrics["kl"]
        assert metrics["loss"].item() == pytest.approx(expected.item(), rel=1e-5)


def test_training_logs_metrics_and_counts_steps() -> None:
    data = ImageData("digits", batch_size=100)
    model = CategoricalVAE(
        image_shape=(1, 8, 8),
        latents=4,
        categories=5,
        encoder={"name": "mlp", "hidden": [32, 16]},
        decoder={"name": "mlp", "hidden": [16, 32]},
        temperature={"name": "exponential", "rate": 0.1, "minimum": 0.1},
        optimizer={"schedule": "cosine"},
        bound_samples=20,
    )
    trainer = L.Trainer(
        max_epochs=2,
        limit_train_batches=4,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        accelerator="cpu",
    )
    trainer.fit(model, data)
    assert model.relaxed.step.item() == 8
    assert torch.allclose(model.base_rate, data.mean)
    assert trainer.callback_metrics["train/temperature"].item() == pytest.approx(math.exp(-0.7), rel=1e-5)
    assert {"train/loss", "train/elbo", "train/kl", "val/elbo"} <= set(trainer.callback_metrics)
    assert trainer.optimizers[0].param_groups[0]["lr"] == pytest.approx(0.0, abs=1e-9)
    (metrics,) = trainer.test(model, data, verbose=False)
    assert metrics["test/elbo"] == pytest.approx(metrics["test/kl"] + metrics["test/reconstruction"], rel=1e-5)
    assert metrics["test/bound"] < metrics["test/elbo"] + 0.5
    assert 0 <= metrics["test/active_latents"] <= 4 and 0 < metrics["test/usage"] <= 1
    assert 1 <= metrics["test/perplexity"] <= 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"prior": "gaussian"}, "prior must be one of"),
        ({"optimizer": {"schedule": "linear"}}, "optimizer.schedule must be one of"),
        ({"optimizer": {"learning_rat": 0.1}}, "did you mean 'learning_rate'"),
        ({"encoder": "mpl"}, "did you mean 'mlp'"),
        ({"decoder": {"name": "mlp", "hiden": [8]}}, "did you mean 'hidden'"),
        ({"encoder": {"name": "mlp", "features": 3}}, "unknown argument of encoder 'mlp'"),
        ({"estimator": "gumbel"}, "unknown estimator"),
        ({"temperature": 0.0}, "> 0"),
        ({"latents": 0}, "latents"),
        ({"encoder": {"name": "mlp", "activation": "relo"}}, "did you mean 'relu'"),
        ({"bound_samples": 0}, "bound_samples"),
        ({"training_samples": 2, "beta_warmup": 10}, "training_samples=1"),
    ],
)
def test_bad_argument_raises(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CategoricalVAE(**arguments)  # type: ignore[arg-type]


def test_bad_input_raises() -> None:
    model = small()
    with pytest.raises(ValueError, match=r"image_shape='\[1, 8, 8\]'"):
        model.encode(torch.zeros(2, 1, 8, 8))
    with pytest.raises(ValueError, match=r"whole values in \[0, 3\)"):
        model.decode(torch.tensor([[0, 3]]))
    with pytest.raises(ValueError, match=r"shape \(\.\.\., 2\)"):
        model.decode(torch.tensor([[0, 1, 2]]))


@pytest.mark.parametrize("estimator", ESTIMATORS.names())
def test_every_estimator_trains_two_sample_bound(estimator: str) -> None:
    arguments: dict[str, Any] = {"estimator": estimator, "training_samples": 2}
    if estimator == "concrete":
        with pytest.raises(ValueError, match="training_samples=1"):
            small(**arguments)
        return
    arguments |= {"categories": 2} if ESTIMATORS[estimator].categories else {}
    model = small(**arguments)
    model.training_metrics({"image": images()})["loss"].backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.encoder.parameters())
